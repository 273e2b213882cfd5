"""What a model found, kept as 1-bit PNG of the image's own size: ``masks/SOURCE/IMAGE.LABEL.png``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.shards import decode_mask, encode_mask
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.samples import SampleRow
from pathsegmentor.evaluate.truth import image_name
from pathsegmentor.vocabulary import Label

MASKS = "masks"


def mask_path(folder: Path, source: str, image: str, label: str) -> Path:
    """Where the mask of a label lies in a run's folder; ``image`` as in ``samples.parquet``."""
    name = f"{image_name(image)}.{Label.from_id(label).file_name}.png"
    path = folder / MASKS / source / name
    if len(path.relative_to(folder).parts) != 3 or source in (".", ".."):
        raise BadInput(f"source '{source}' is no name of a folder")
    return path


def write_mask(folder: Path, row: SampleRow, mask: NDArray[np.bool_]) -> None:
    """Keep a mask (H, W), whole or not at all; an absent label's only if it is not empty."""
    if row.present or mask.any():
        path = mask_path(folder, row.source, row.image, row.label)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            beside.write_bytes(encode_mask(mask))


def read_mask(folder: Path, source: str, image: str, label: str) -> NDArray[np.bool_]:
    """A kept mask (H, W); raises ``BadInput`` if there is none."""
    path = mask_path(folder, source, image, label)
    if not path.is_file():
        raise BadInput(f"{path} is missing; run evaluate with --masks")
    return np.asarray(decode_mask(path.read_bytes()) > 0)
