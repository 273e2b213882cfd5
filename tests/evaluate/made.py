"""A small PathSeg written member by member, and a predictor that knows its annotation, with flaws to choose."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathsegmentor.data.manifest import MANIFEST, Row, write_rows
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.shards import ShardWriter, encode_image, encode_mask
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Picture

GLAND, NUCLEI, STROMA = "colon-tissue-gland", "colon-nuclei-epithelial", "breast-tissue-stroma"
ANNOTATED = {"first": (NUCLEI, GLAND), "second": (STROMA,)}
HEIGHT, WIDTH = 48, 64


def labels_of(source: str, number: int) -> tuple[str, ...]:
    """Of each three images of ``first`` one has both labels, one only glands, one only nuclei."""
    return ((GLAND, NUCLEI), (GLAND,), (NUCLEI,))[number % 3] if source == "first" else (STROMA,)


def made_mask(label: str, number: int) -> np.ndarray:
    """Nuclei are numbered boxes, the others one box; each image has others."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint16 if label == NUCLEI else bool)
    if label == NUCLEI:
        for i in range(3 + number % 3):
            mask[4 + number % 5 : 14, 2 + 12 * i : 10 + 12 * i] = i + 1
        return mask
    mask[20 : 40 - number % 7, 5 + number % 4 : 50] = True
    return mask


def made_set(folder: Path, first: int = 9, second: int = 4) -> Path:
    """``first`` and ``second`` images of two sources; two of three are test, two neighbours are of one patient."""
    rows = []
    (folder / "shards").mkdir(parents=True)
    for source, count in (("first", first), ("second", second)):
        shard = f"shards/{source}-00000.tar"
        writer = ShardWriter(folder / shard)
        for number in range(count):
            stem = f"{source}-00000-{number:04d}"
            rng = np.random.default_rng([number, len(source)])
            image = encode_image(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
            writer.add(f"{stem}.png", image)
            for label in labels_of(source, number):
                mask = made_mask(label, number)
                writer.add(f"{stem}.{label}.png", encode_mask(mask))
                rows.append(row_of(shard, stem, source, number, label, mask, image))
        writer.close()
    write_rows(folder / MANIFEST, rows)
    return folder


def row_of(shard: str, stem: str, source: str, number: int, label: str, mask: np.ndarray, image: bytes) -> Row:
    return Row(
        id=f"{stem}.{label}",
        image=f"{shard}/{stem}.png",
        mask=f"{shard}/{stem}.{label}.png",
        ignore="",
        label=label,
        source=source,
        split="train" if number % 3 == 1 and number > 1 else "test",
        patient=f"{source}-{number // 2}",
        slide="",
        mpp=(0.5, 0.25),
        factor_to_40x=1.0,
        height=HEIGHT,
        width=WIDTH,
        mask_pixels=int(np.count_nonzero(mask)),
        instances=None if mask.dtype == bool else int(mask.max()),
        annotated=ANNOTATED[source],
        origin=f"{number}",
        x=0,
        y=0,
        window_width=WIDTH,
        window_height=HEIGHT,
        licence="CC0",
        sha256=hashlib.sha256(image).hexdigest(),
    )


def rewrite(folder: Path, source: str, changed: dict[str, bytes | None]) -> None:
    """Put other bytes into members of a shard; None takes one out."""
    path = folder / "shards" / f"{source}-00000.tar"
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert set(changed) <= set(members)
    writer = ShardWriter(path)
    for name, data in (members | changed).items():
        if data is not None:
            writer.add(name, data)
    writer.close()


def png(values: np.ndarray) -> bytes:
    """Any array as PNG, as a stranger may have written it."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "png")
    return buffer.getvalue()


@dataclass
class Oracle:
    """Answers with the annotation less its first rows, so that Dice differs from image to image.

    ``flaw`` is ``KIND`` or ``KIND@NUMBER``, of the image of this number only.
    """

    data: Path
    flaw: str = ""
    name: str = "oracle"
    weights: str = "none"
    wants_boxes: WantsBoxes = "none"

    def __post_init__(self) -> None:
        pathseg = PathSeg(self.data)
        self.images = {entry.first.sha256: entry for entry in pathseg.entries}
        self.calls: list[tuple[str, ...]] = []

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        return "the oracle does not know stroma" if self.flaw == "no stroma" and label == STROMA else ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        entry = self.images[str(image.sha256)]
        self.calls.append((image.source, *(one.label for one in asked)))
        kind, _, number = self.flaw.partition("@")
        flaw = kind if number in ("", entry.first.origin) and entry.first.source == "first" else ""
        if flaw == "raises":
            raise RuntimeError("no memory on the device")
        if flaw == "few":
            return []
        return [self._one(entry.first.origin, entry.labels, one.label, flaw) for one in asked]

    def _one(self, origin: str, there: Sequence[str], label: str, flaw: str) -> Predicted:
        present = label in there
        mask = np.zeros((HEIGHT, WIDTH), bool)
        if present:
            mask = made_mask(label, int(origin)) > 0
            mask[: 9 + int(origin) % 3 if label == NUCLEI else 22 + int(origin) % 9] = False
        sure = 0.9 - 0.01 * int(origin) if present else 0.2 + 0.01 * int(origin)
        sure = 1 - sure if self.flaw == "inverted" else sure
        found = Predicted(label, mask, sure, "present" if sure > 0.5 else "absent")
        if label != GLAND:  # flaws are of glands alone
            return found
        return {
            "": found,
            "size": Predicted(label, mask[:24], sure, "present"),
            "nan mask": Predicted(label, np.where(mask, np.nan, 0.0), sure, "present"),  # type: ignore[arg-type]
            "soft mask": Predicted(label, mask * 0.7, sure, "present"),  # type: ignore[arg-type]
            "nan presence": Predicted(label, mask, float("nan"), "present"),
            "presence": Predicted(label, mask, 1.5, "present"),
            "status": Predicted(label, mask, sure, "maybe"),
            "label": Predicted(NUCLEI, mask, sure, "present"),
        }.get(flaw, found)


@dataclass(frozen=True)
class OracleMaker(Maker):
    """Makes oracles; travels to other processes."""

    data: Path = Path()
    flaw: str = ""

    def __call__(self) -> Oracle:
        return Oracle(self.data, self.flaw)
