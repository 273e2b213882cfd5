"""BCSS: breast tissue regions (M. Amgad et al., Bioinformatics 2019)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source

# The codes of meta/gtruth_codes.tsv that are labels; of the others, 21 is "other".
LABELS = {
    1: "breast-tissue-tumor",
    2: "breast-tissue-stroma",
    3: "breast-tissue-lymphocytic infiltrate",
    4: "breast-tissue-necrosis or debris",
    5: "breast-tissue-glandular secretions",
    6: "breast-tissue-blood",
    8: "breast-tissue-metaplasia nos",
    9: "breast-tissue-fat",
    10: "breast-tissue-plasma cells",
    11: "breast-tissue-other immune infiltrate",
    12: "breast-tissue-mucoid material",
    13: "breast-tissue-normal acinus or duct",
    14: "breast-tissue-lymphatics",
    16: "breast-tissue-nerve",
    17: "breast-tissue-skin adnexa",
    18: "breast-tissue-blood vessel",
    19: "breast-tissue-angioinvasion",
    20: "breast-tissue-dcis",
}
# Outside the region, excluded, undetermined.
IGNORE = (0, 7, 15)
CODES = range(22)
TOP = "0_Public-data-Amgad2019_0.25MPP"
IMAGES = ("rgbs_colorNormalized", "images")
LAYOUT = (
    f"{TOP}/rgbs_colorNormalized/NAME.png (or images/NAME.png)",
    f"{TOP}/masks/NAME.png (codes 0 to 21)",
    "NAME as TCGA-A2-A0CM-DX1_xmin18562_ymin56852_MPP-0.2500",
)
# The hospitals whose slides the authors propose as a test, by the code after "TCGA-".
TEST = ("OL", "LL", "E2", "EW", "GM", "S3")
MPP = 0.25
FACTOR = 1.0

_SCALE = re.compile(r"_MPP-(\d+\.?\d*)")


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per region; slide, patient and scale come from its name."""
    top = next((home for home in (folder / TOP / TOP, folder / TOP) if home.is_dir()), folder)
    images = files.pictures(files.first_of(top, IMAGES, LAYOUT[0]))
    masks = files.pictures(files.need(top / "masks", LAYOUT[1]))
    yield from files.at_least_one(_items(images, masks), folder, LAYOUT)


def _items(images: list[Path], masks: list[Path]) -> Iterator[Item | Problem]:
    for pair in files.paired(images, masks):
        if isinstance(pair, Problem):
            yield pair
            continue
        name = pair[0].stem
        scale = _SCALE.search(name)
        mpp = float(scale[1]) if scale else 0.0
        if not mpp:
            yield Problem(f"{pair[0].name}: no scale in its name, as in MPP-0.2500")
            continue
        slide = name.split("_")[0]
        yield Item(name, pair, mpp, FACTOR * mpp / MPP, _part(slide), "-".join(slide.split("-")[:3]), slide)


def _part(slide: str) -> str:
    """The authors' part; "" for a slide that is not named as TCGA names them."""
    codes = slide.split("-")
    return ("test" if codes[1] in TEST else "train") if codes[0] == "TCGA" and len(codes) > 2 else ""


def read(item: Item) -> Annotated:
    """All 18 kinds are outlined wherever they occur; "other" is none of them."""
    pixels, codes = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, codes, item.name)
    files.known_codes(codes, CODES, item.name)
    there = set(np.unique(codes).tolist())
    # Regions have up to 130 million pixels: the kinds that are absent share one mask.
    nothing = np.zeros(codes.shape, bool)
    masks: dict[str, MaskArray] = {
        label: np.asarray(codes == code) if code in there else nothing for code, label in LABELS.items()
    }
    ignore = np.isin(codes, IGNORE)
    return Annotated(pixels, masks, frozenset(masks), ignore if ignore.any() else None)


SOURCE = Source(
    name="bcss",
    title="BCSS",
    url="https://github.com/PathologyDataScience/BCSS",
    licence=Licence("CC0 1.0", True, True, True),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=tuple(LABELS.values()),
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(2914, 9192, 7322, 1870),
    batch=8,
    notes=(
        f"split at random by patient as in the paper; official is the authors' split by hospital: test = slides "
        f"whose code after TCGA- is {', '.join(TEST)}",
        "the paper's number of windows is not understood: 4,188 fit into the regions at scan scale",
    ),
)
