"""Reading what sources are made of; everything unusable raises ``BadInput`` in one line."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pathsegmentor.data.names import inside
from pathsegmentor.data.record import Item, Pixels, Problem
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.read import check_whole, read_picture

# DigestPath has images of more pixels than can be segmented at once; OpenCV, which resizes, stops here.
MOST_PIXELS = 1 << 30
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def need(path: Path, what: str) -> Path:
    """The path if it exists, else ``BadInput`` that says what was expected there."""
    if not path.exists():
        raise BadInput(f"{path} is missing; expected {what}")
    return path


def first_of(folder: Path, names: Iterable[str], what: str) -> Path:
    """The first of several spellings that exists in a folder."""
    names = list(names)
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise BadInput(f"{folder} has none of {', '.join(names)}; expected {what}")


def below(folder: Path, name: str) -> Path:
    """A path named by a file's content, refused if it leaves the folder; links that lie there are the user's own."""
    if "\0" in name:
        raise BadInput(f"{name!r} is no file name")
    place = inside(name, folder)
    if place is None:
        raise BadInput(f"'{name}' leaves the folder {folder}")
    return folder / place


def everything(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden, sorted; folders that are links are entered too.

    Real folders come first and each is entered once, so that links in a circle end; a link to a folder above
    is not entered.
    """
    found, entered = [], set()
    above = folder.resolve().parents
    waiting, linked = [folder], list[Path]()
    while waiting or linked:
        place = waiting.pop() if waiting else linked.pop(0)
        try:
            status = place.stat()
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            raise BadInput(f"{place} cannot be read: {error.strerror}") from error
        if (status.st_dev, status.st_ino) in entered or place.resolve() in above:
            continue
        entered.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = place / entry.name
            if _is_left_behind(Path(entry.name)):
                continue
            if entry.is_dir():
                (linked if entry.is_symlink() else waiting).append(path)
            elif entry.is_file():
                found.append(path)
    return sorted(found)


def visible(folder: Path, *patterns: str) -> list[Path]:
    """Files that match, sorted, without what is hidden or in a hidden folder, or left behind by archives of a Mac."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not _is_left_behind(path.relative_to(folder)))


def _is_left_behind(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def pictures(folder: Path) -> list[Path]:
    """All image files of a folder, sorted."""
    return [path for path in visible(folder, "*") if path.suffix.lower() in IMAGES]


def rgb(path: Path) -> Pixels:
    """Pixels of an image file (H, W, 3) uint8 RGB, as ``segment`` sees them."""
    return read_picture(need(path, "an image file"), most_pixels=MOST_PIXELS).pixels


def codes(path: Path) -> NDArray[Any]:
    """Values of a mask as stored, (H, W): palette indices, grey values or bits, never colours.

    A grey picture stored as colours gives its first channel; coloured ones are refused.
    """
    image = _opened(path)
    values = np.asarray(image.convert("L") if image.mode == "LA" else image)
    if values.ndim == 3:
        if not (values[..., :3] == values[..., :1]).all():
            raise BadInput(f"{path} holds colours where class or instance numbers were expected")
        values = values[..., 0]
    return values


def one_page(path: Path) -> None:
    """Refuse an image file of several pages of one size; smaller ones are copies for display."""
    try:
        with Image.open(path) as image:
            size, pages = image.size, 1
            for number in range(1, getattr(image, "n_frames", 1)):
                image.seek(number)
                pages += image.size == size
    except Exception as error:  # decoders raise many classes on broken files
        raise BadInput(f"{path} is damaged or no image: {_line(error)}") from error
    if pages > 1:
        raise BadInput(f"{path} holds {pages} pages where one mask was expected")


def channels(path: Path) -> NDArray[np.uint8]:
    """A mask whose channels mean different things, (H, W, 3) uint8."""
    image = _opened(path)
    if image.mode not in ("RGB", "RGBA"):
        raise BadInput(f"{path} has mode {image.mode} where three channels were expected")
    return np.asarray(image)[..., :3]


def _opened(path: Path) -> Image.Image:
    """A mask, upright as its image is read."""
    check_whole(need(path, "an image file"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with Image.open(path) as image:
                    image.load()
                    return ImageOps.exif_transpose(image)
            except Image.DecompressionBombError:
                return _large(path)
    except BadInput:
        raise
    except Exception as error:  # decoders raise many classes on broken files
        raise BadInput(f"{path} is damaged or no image: {_line(error)}") from error


def _large(path: Path) -> Image.Image:
    """A mask of over 179 million pixels."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise BadInput(f"{path} is too large or damaged")
    return Image.fromarray(values if values.ndim == 2 else np.ascontiguousarray(values[..., 2::-1]))


def array(path: Path, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A .npy file mapped into memory, not loaded; its shape must match (None: any length)."""
    try:
        values = np.load(need(path, "a NumPy array"), mmap_mode="r", allow_pickle=False)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{path} is no whole .npy file: {_line(error)}") from error
    if not isinstance(values, np.ndarray) or len(values.shape) != len(shape):
        raise BadInput(f"{path} has shape {getattr(values, 'shape', '?')}; expected {_shape(shape)}")
    if any(want is not None and want != got for want, got in zip(shape, values.shape, strict=True)):
        raise BadInput(f"{path} has shape {_shape(values.shape)}; expected {_shape(shape)}")
    return values


def _shape(shape: tuple[int | None, ...]) -> str:
    return " x ".join("n" if side is None else str(side) for side in shape)


def table(path: Path, columns: Iterable[str] = (), delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a CSV file; the named columns must be there."""
    try:
        with need(path, "a table").open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter, restval="")
            # Cells beyond the header have no name, and are dropped.
            rows = [{name: value for name, value in row.items() if name is not None} for row in reader]
            names = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is no readable table: {_line(error)}") from error
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise BadInput(f"{path} has no column {', '.join(lacking)}; it has {', '.join(names) or 'none'}")
    return rows


def same_size(pixels: Pixels, mask: NDArray[Any], name: str) -> None:
    """Refuse a mask that is not as large as its image."""
    turned = pixels.shape[:2] == mask.shape[1::-1]
    if pixels.shape[:2] != mask.shape[:2]:
        raise BadInput(
            f"{name}: image is {pixels.shape[1]} x {pixels.shape[0]}, mask {mask.shape[1]} x {mask.shape[0]} pixels"
            + ("; was one of them drawn without its EXIF orientation?" if turned else "")
        )


def known_codes(mask: NDArray[Any], known: Iterable[int], name: str) -> None:
    """Refuse a mask that holds a class code nobody described."""
    strange = sorted(set(np.unique(mask).tolist()) - set(known))
    if strange:
        shown = ", ".join(str(code) for code in strange[:5])
        raise BadInput(f"{name}: unknown class code {shown}; known: {', '.join(map(str, sorted(known)))}")


def paired(images: list[Path], masks: list[Path]) -> Iterator[tuple[Path, Path] | Problem]:
    """Images with the mask of the same stem; what stands alone is a ``Problem``."""
    by_stem = {path.stem: path for path in masks}
    for image in images:
        mask = by_stem.pop(image.stem, None)
        yield (image, mask) if mask else Problem(f"{image.name}: image without mask")
    for mask in by_stem.values():
        yield Problem(f"{mask.name}: mask without image")


def at_least_one(items: Iterable[Item | Problem], folder: Path, layout: Iterable[str]) -> Iterator[Item | Problem]:
    """Pass items on; a folder without any is refused with the layout that was expected."""
    empty = True
    for item in items:
        empty = empty and isinstance(item, Problem)
        yield item
    if empty:
        raise BadInput(f"{folder} holds no annotated image; expected {'; '.join(layout)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
