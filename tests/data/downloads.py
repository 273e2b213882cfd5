"""A tiny whole download of every source, in its genuine layout, in which all of its labels occur."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pathsegmentor.data.sources.pannuke import KINDS, LABELS, REGIONS
from tests.data import made
from tests.data import test_source_bcss as bcss
from tests.data import test_source_cocahis as cocahis
from tests.data import test_source_consep as consep
from tests.data import test_source_digestpath2019 as digestpath
from tests.data import test_source_midog as midog
from tests.data import test_source_monusac as monusac
from tests.data import test_source_nucls as nucls
from tests.data import test_source_rings as rings
from tests.data import test_source_segpath as segpath
from tests.data import test_source_sicapv2 as sicapv2
from tests.data import test_source_tnbc as tnbc
from tests.data import test_source_wsss4luad as wsss4luad


def _bcss(folder: Path) -> None:
    for name in (bcss.NAME, bcss.OTHER):
        bcss.put(folder / bcss.bcss.TOP / "rgbs_colorNormalized" / f"{name}.png", bcss.RGB)
        bcss.put(folder / bcss.bcss.TOP / "masks" / f"{name}.png", bcss.CODES)


def _cocahis(folder: Path) -> None:
    cocahis.write(folder / "CoCaHis.hdf5")


def _conic(folder: Path) -> None:
    made.conic(folder, 3)


def _crag(folder: Path) -> None:
    for seed, (part, name) in enumerate((("train", "train_1"), ("train", "train_2"), ("valid", "test_1"))):
        made.save(folder / "CRAG" / part / "Images" / f"{name}.png", made.picture(seed))
        made.save(folder / "CRAG" / part / "Annotation" / f"{name}.png", made.instances(seed))


def _digestpath(folder: Path) -> None:
    for name in (digestpath.POSITIVE, digestpath.POSITIVE.replace("18-", "19-")):
        digestpath.put(folder / digestpath.WITH / f"{name}.jpg", digestpath.RGB)
        digestpath.put(folder / digestpath.WITH / f"{name}_mask.jpg", digestpath.MASK)
    digestpath.put(folder / digestpath.WITHOUT / f"{digestpath.NEGATIVE}.jpg", digestpath.RGB)


def _glas(folder: Path) -> None:
    made.glas(folder)


def _janowczyk(folder: Path) -> None:
    for seed, name in enumerate(("12750_500_f00003", "9023_500_f00030")):
        made.save(folder / "nuclei" / f"{name}_original.tif", made.picture(seed))
        made.save(folder / "nuclei" / f"{name}_mask.png", (made.instances(seed) > 0) * np.uint8(255))


def _midog(folder: Path) -> None:
    for name in ("350", "351", "001"):
        made.save(folder / "images" / f"{name}.tiff", midog.RGB)
    midog.write(folder, midog.listing())


def _monusac(folder: Path) -> None:
    squares = [
        (kind.capitalize(), [tuple((x + 9 * n, y + 7 * n) for x, y in monusac.SQUARE)])
        for n, kind in enumerate(monusac.LABELS)
    ]
    monusac.write(folder, "train", "TCGA-5P-A9K0-01Z-00-DX1_1", monusac.xml(*squares))
    monusac.write(folder, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", monusac.xml(*squares[:1]), ".svs")


def _nucls(folder: Path) -> None:
    for name in (nucls.NAME, nucls.OTHER):
        nucls.write(folder, name)


def _pannuke(folder: Path) -> None:
    """One patch of every tissue with the kinds that the paper has there."""
    home = {part: folder / "Fold 1" / part / "fold1" for part in ("images", "masks")}
    masks = np.zeros((len(REGIONS), 256, 256, 6), np.uint8)
    for number, region in enumerate(REGIONS.values()):
        for channel, kind in enumerate(KINDS):
            if f"{region}-nuclei-{kind}" in LABELS:
                masks[number, 40 * channel : 40 * channel + 20, 30 + number : 60, channel] = channel + 1
    masks[..., 5] = ~masks[..., :5].any(axis=-1)
    for place in home.values():
        place.mkdir(parents=True)
    np.save(home["images"] / "images.npy", np.full((len(REGIONS), 256, 256, 3), 200, np.uint8))
    np.save(home["images"] / "types.npy", np.array(list(REGIONS)))
    np.save(home["masks"] / "masks.npy", masks)


def _rings(folder: Path) -> None:
    for part, name in (("TRAIN", "P3_A8_12_16_1"), ("TRAIN", "P3_A8_3_5_1"), ("TEST", "P4_C11_5_10_6")):
        rings.tile(folder / part, name, rings.SPOT, rings.OTHER)


def _segpath(folder: Path) -> None:
    for archive in segpath.ARCHIVES:
        name = f"{archive}_001_067584_052224"
        segpath.put(folder / archive, name)
        segpath.info(folder / archive, archive.split("_")[0], {name: "train"})


def _sicapv2(folder: Path) -> None:
    sicapv2.put(folder / "SICAPv2", [sicapv2.BENIGN, sicapv2.MASK, sicapv2.MASK])
    sicapv2.partition(folder / "SICAPv2", sicapv2.NAMES[:2], sicapv2.NAMES[2:])


def _tnbc(folder: Path) -> None:
    """The release with cell types, whose codes only the user's table tells."""
    codes = np.zeros((24, 20), np.uint8)
    for code in range(1, len(tnbc.LABELS) + 1):
        codes[2 * code - 2 : 2 * code, 3:17] = code
    for name in ("01_1", "12_1"):
        tnbc.put(folder / "TNBC_NucleiSegmentation", name, codes)
    made.table(folder / "types.csv", ["code", "label"], enumerate(tnbc.LABELS, start=1))


def _wsss4luad(folder: Path) -> None:
    for part in ("2.validation", "3.testing"):
        wsss4luad.crop(folder / part, "00")


def _consep(folder: Path) -> None:
    consep.put(folder / "Train", "train_1")
    consep.put(folder / "Test", "test_1")


def _ebhi(folder: Path) -> None:
    kinds = ("Normal", "Polyp", "Low-grade IN", "High-grade IN", "Serrated adenoma", "Adenocarcinoma")
    for seed in range(len(kinds)):
        made.save(folder / "train" / "images" / f"{seed}.jpg", made.picture(seed))
        made.save(folder / "train" / "masks" / f"{seed}.png", made.instances(seed))
    rows = [(seed, "train", seed, kind) for seed, kind in enumerate(kinds)]
    made.table(folder / "images.csv", ["image", "split", "case", "class"], rows)


def _monuseg(folder: Path) -> None:
    for seed, part in enumerate(("train", "test")):
        made.save(folder / part / "images" / f"{seed}.jpg", made.picture(seed))
        made.save(folder / part / "instances" / f"{seed}.png", made.instances(seed).astype(np.uint16))
    rows = [("0", "train", "breast"), ("1", "test", "colon")]
    made.table(folder / "images.csv", ["image", "split", "organ"], rows)


MAKERS: dict[str, Callable[[Path], None]] = {
    "bcss": _bcss,
    "cocahis": _cocahis,
    "conic2022": _conic,
    "crag": _crag,
    "digestpath2019": _digestpath,
    "glas": _glas,
    "janowczyk": _janowczyk,
    "midog": _midog,
    "monusac": _monusac,
    "nucls": _nucls,
    "pannuke": _pannuke,
    "rings": _rings,
    "segpath": _segpath,
    "sicapv2": _sicapv2,
    "tnbc": _tnbc,
    "wsss4luad": _wsss4luad,
    "consep": _consep,
    "ebhi": _ebhi,
    "monuseg": _monuseg,
}


def download(name: str, folder: Path) -> Path:
    """Write the download of a source into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    MAKERS[name](folder)
    return folder


def foreign(folder: Path) -> Path:
    """A folder that is no source's, but holds what they are made of."""
    made.save(folder / "holiday.png", made.picture(1))
    made.save(folder / "pictures" / "beach.jpg", made.picture(2))
    made.table(folder / "prices.csv", ["what", "price"], [["a", 1]])
    (folder / "settings.json").write_text(json.dumps({"a": 1}))
    np.save(folder / "numbers.npy", np.zeros(3))
    Image.fromarray(made.instances(3)).save(folder / "pictures" / "beach_mask.png")
    return folder
