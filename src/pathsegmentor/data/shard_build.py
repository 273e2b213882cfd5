"""One shard: a batch of items becomes a tar, a part of the manifest, and a note of what was left out.

The note is written last: a shard counts as done only if its note is there and speaks of the same items.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.atomic import sha256_of, whole_file
from pathsegmentor.data.counted import Count, added, told
from pathsegmentor.data.faults import cannot_now, line
from pathsegmentor.data.manifest import Row, write_rows
from pathsegmentor.data.record import Annotated, Item, Source, Unused
from pathsegmentor.data.shards import ShardWriter, encode_image, encode_mask, instances_of
from pathsegmentor.data.standardise import FEWEST_PIXELS, SIDE, Piece, pieces
from pathsegmentor.errors import BadInput, PathSegError
from pathsegmentor.vocabulary import Label

# Raise it when the same input would give other shards.
FORMAT = 2
TOO_SMALL = f"is too small: of its class fewer than {FEWEST_PIXELS} pixels at 40x are in a window, or none of it"
Member = tuple[str, bytes]


@dataclass(frozen=True)
class ShardPlan:
    """A shard to be made: the items with their splits, and which labels are taken from them."""

    source: Source
    name: str
    items: tuple[Item, ...]
    splits: tuple[str, ...]
    labels: frozenset[str] | None
    folder: Path

    @property
    def tar(self) -> Path:
        """The shard."""
        return self.folder / "shards" / f"{self.name}.tar"

    @property
    def part(self) -> Path:
        """Its rows of the manifest."""
        return self.folder / "parts" / f"{self.name}.parquet"

    @property
    def note(self) -> Path:
        """What was made and what was left out."""
        return self.folder / "parts" / f"{self.name}.json"

    def fingerprint(self) -> str:
        """A hash of all that decides the shard's bytes: items, sizes and times of their files, settings."""
        what: list[Any] = [FORMAT, self.source.name, self.source.cut, sorted(self.labels or ())]
        for item, split in zip(self.items, self.splits, strict=True):
            stamps = [(s.st_size, s.st_mtime_ns) for s in (path.stat() for path in item.files)]
            what.append([item.name, item.mpp, item.factor, split, item.patient, item.slide, item.note, stamps])
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def done(plan: ShardPlan) -> dict[str, Any] | None:
    """The note of a shard that is finished and still fits the plan, else None."""
    try:
        note: dict[str, Any] = json.loads(plan.note.read_text(encoding="utf-8"))
        whole = plan.tar.stat().st_size == note["bytes"] and sha256_of(plan.part) == note["part_sha256"]
        return note if whole and note["fingerprint"] == plan.fingerprint() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def build_shard(plan: ShardPlan) -> dict[str, Any]:
    """Make a shard and return its note; items whose files are at fault are left out and named there.

    Raises ``PathSegError`` where the machine is at fault: then there is no note, and the shard is tried again.
    """
    plan.note.unlink(missing_ok=True)
    fingerprint = plan.fingerprint()  # before anything is read: a file that changes meanwhile is read again
    rows: list[Row] = []
    left_out: list[str] = []
    remarks: list[str] = []
    counts: list[dict[str, Any]] = []
    empty = 0
    with whole_file(plan.tar) as beside, closing(ShardWriter(beside)) as writer:
        for number, item in enumerate(plan.items):
            try:
                made, members, count = _make_item(plan, number)
            except Unused as error:
                left_out.append(f"{item.name}: {error}")
                counts.append(error.count.report())
                continue
            except Exception as error:  # a broken file must not end the build of all others
                left_out.append(_fault(plan.source, item, error))
                continue
            # Only now is anything written: an item is in the shard whole or not at all.
            for name, data in members:
                writer.add(name, data)
            rows += made
            empty += not made
            if count is not None:
                counts.append(count.report())
                for lost, lines in ((True, left_out), (False, remarks)):
                    lines += [f"{item.name}: {text}" for text, _ in told(p for p in count.passed if p.lost == lost)]
    write_rows(plan.part, rows)
    note = {
        "name": plan.name,
        "source": plan.source.name,
        "fingerprint": fingerprint,
        "bytes": plan.tar.stat().st_size,
        "sha256": sha256_of(plan.tar),
        "part_sha256": sha256_of(plan.part),
        "images": len({row.image for row in rows}),
        "masks": len(rows),
        "items": len(plan.items),
        "without_label": empty,
        "left_out": left_out,
        "remarks": remarks,
        "objects": added(counts) if counts else {},
    }
    with whole_file(plan.note) as beside:
        beside.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    return note


def _fault(source: Source, item: Item, error: Exception) -> str:
    """What is wrong with an item's files; raises ``PathSegError`` if they could not be read for another reason."""
    gone = [path for path in item.files if not path.exists()]  # they were there when they were listed
    if gone or cannot_now(error):
        why = f"{gone[0]} is gone" if gone else line(error)
        raise PathSegError(
            f"{source.name}: {item.name} cannot be read now, which is no fault of the file: {why}; "
            "once that is mended, run the same command again to go on"
        ) from error
    if isinstance(error, BadInput):
        return f"{item.name}: {error}"
    return f"{item.name}: cannot be read: {type(error).__name__}: {line(error)}"


def _make_item(plan: ShardPlan, number: int) -> tuple[list[Row], list[Member], Count | None]:
    """Standardise one item: the rows of its triples, the members of the shard, and what became of its objects."""
    item = plan.items[number]
    image = _wanted(plan.source.read(item), plan.labels)
    rows, members = [], []
    seen: dict[str, set[int]] = defaultdict(set)
    if image.masks:
        for piece in pieces(image, image.mpp or item.mpp, item.factor, plan.source.cut):
            more_rows, more_members = _make_piece(plan, number, piece, image.complete)
            rows += more_rows
            members += more_members
            if image.count is not None:
                for label, mask in piece.masks.items():
                    seen[label].update(np.unique(mask).tolist())
    return rows, members, image.count.left(seen, TOO_SMALL) if image.count is not None else None


def _make_piece(plan: ShardPlan, number: int, piece: Piece, complete: frozenset[str]) -> tuple[list[Row], list[Member]]:
    item, shard = plan.items[number], f"shards/{plan.name}.tar"
    key = f"{plan.name}-{number:04d}-{_plain(item.name)}-x{piece.window.x}-y{piece.window.y}"
    data = encode_image(piece.pixels)
    members = [(f"{key}.png", data)]
    ignore = ""
    if piece.ignore is not None:
        ignore = f"{shard}/{key}.ignore.png"
        members.append((f"{key}.ignore.png", encode_mask(piece.ignore)))
    rows = []
    for label, mask in sorted(piece.masks.items()):
        name = Label.from_id(label).file_name.replace(".", "_")
        members.append((f"{key}.{name}.png", encode_mask(mask)))
        row = Row(
            id=f"{key}.{name}",
            image=f"{shard}/{key}.png",
            mask=f"{shard}/{key}.{name}.png",
            ignore=ignore,
            label=label,
            source=plan.source.name,
            split=plan.splits[number],
            patient=item.patient,
            slide=item.slide,
            mpp=piece.mpp,
            factor_to_40x=item.factor,
            height=SIDE,
            width=SIDE,
            mask_pixels=int((mask > 0).sum()),
            instances=instances_of(mask),
            annotated=tuple(sorted(complete)),
            origin=item.name,
            x=piece.window.x,
            y=piece.window.y,
            window_width=piece.window.width,
            window_height=piece.window.height,
            licence=plan.source.licence.name,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        rows.append(row)
    facts = {"source": plan.source.name, "split": plan.splits[number], "labels": sorted(piece.masks), "mpp": piece.mpp}
    return rows, [*members, (f"{key}.json", json.dumps(facts).encode())]


def _wanted(image: Annotated, labels: frozenset[str] | None) -> Annotated:
    """Only the labels that were asked for; None asks for all."""
    if labels is None:
        return image
    masks = {label: mask for label, mask in image.masks.items() if label in labels}
    return Annotated(image.pixels, masks, image.complete & labels, image.ignore, image.mpp, image.count)


def _plain(name: str) -> str:
    """A name without dots and slashes: what follows the first dot is the kind of member."""
    return re.sub(r"[^\w-]+", "_", name)[-40:]


def batches(items: Sequence[Item], size: int) -> list[tuple[Item, ...]]:
    """Items in order, ``size`` to a shard."""
    return [tuple(items[i : i + size]) for i in range(0, len(items), size)]
