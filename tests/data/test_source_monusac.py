"""MoNuSAC on two crops in its own layout, and on small ones drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.monusac import LABELS, PARTS, SOURCE
from pathsegmentor.errors import BadInput

REAL = Path(__file__).parent / "monusac"
EPITHELIAL, LYMPHOCYTE = LABELS["epithelial"], LABELS["lymphocyte"]
RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SQUARE = ((9.5, 4.5), (19.5, 4.5), (19.5, 14.5), (9.5, 14.5))


def xml(*annotations: tuple[str, list[tuple[tuple[float, float], ...]]], mpp: str = "0.194480") -> str:
    """The form of a genuine file."""
    text = f'<Annotations MicronsPerPixel="{mpp}">\n'
    for kind, regions in annotations:
        text += (
            f'<Annotation Id="1" Name=""><Attributes><Attribute Name="{kind}" Id="0" Value=""/></Attributes><Regions>'
        )
        text += '<RegionAttributeHeaders><AttributeHeader Id="9999" Name="Region"/></RegionAttributeHeaders>'
        for region in regions:
            corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in region)
            text += f'<Region Id="1"><Attributes/><Vertices>{corners}</Vertices></Region>'
        text += "</Regions><Plots/></Annotation>\n"
    return text + "</Annotations>"


def write(top: Path, part: str, name: str, text: str, suffix: str = ".tif") -> Path:
    folder = top / PARTS[part] / name.rsplit("_", 1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.xml").write_text(text)
    if suffix == ".tif":
        wrong = np.dstack([RGB[..., ::-1], np.full(RGB.shape[:2], 255, np.uint8)])
        Image.fromarray(wrong).save(folder / f"{name}.tif", compression="tiff_lzw")
    if suffix == ".svs":
        tifffile.imwrite(folder / f"{name}.svs", RGB, photometric="rgb")
    return folder / name


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def only(folder: Path) -> Item:
    (item,) = found(folder)
    return item


@pytest.fixture
def download(tmp_path: Path) -> Path:
    write(tmp_path, "train", "TCGA-5P-A9K0-01Z-00-DX1_1", xml(("Epithelial", [SQUARE])))
    write(tmp_path, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", xml(("Epithelial", [SQUARE])), ".svs")
    return tmp_path


def test_real_crops_agree_with_their_masks() -> None:
    items = found(REAL)
    assert [item.name for item in items] == ["TCGA-2Z-A9JG-01Z-00-DX1_6", "TCGA-55-7573-01Z-00-DX1_001"]
    assert [item.group for item in items] == ["TCGA-2Z-A9JG", "TCGA-55-7573"]
    for item in items:
        image = SOURCE.read(item)
        codes = np.asarray(Image.open(REAL / "masks" / f"{item.name}.png"))
        assert image.pixels.shape[:2] == codes.shape and image.mpp == 0.25 and item.split == "test"
        for code, label in enumerate(LABELS.values(), start=1):
            mask, true = image.masks[label] > 0, codes == code
            assert 2 * (mask & true).sum() >= 0.99 * (mask.sum() + true.sum())


def test_nuclei_of_real_crops_are_bluish_and_the_rest_is_pink() -> None:
    for item in found(REAL):
        pixels = SOURCE.read(item).pixels
        grey = pixels.mean(axis=2)
        red, _, blue = pixels[grey < np.percentile(grey, 5)].mean(axis=0)
        assert blue > red
        red, _, blue = pixels.mean(axis=(0, 1))
        assert blue < red


def test_both_parts_are_found_with_their_split(download: Path) -> None:
    items = found(download)
    assert [(item.split, item.group) for item in items] == [("train", "TCGA-5P-A9K0"), ("test", "TCGA-2Z-A9JG")]
    assert [item.slide for item in items] == ["TCGA-5P-A9K0-01Z-00-DX1", "TCGA-2Z-A9JG-01Z-00-DX1"]
    assert not problems(download) and found(download.parent) == items
    assert found(download / PARTS["test"]) == items


def test_svs_and_tif_give_the_same_colours_and_svs_is_preferred(download: Path) -> None:
    assert all((SOURCE.read(item).pixels == RGB).all() for item in found(download))
    path = write(download, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", xml())
    assert found(download)[1].files[0].suffix == ".svs"
    path.with_suffix(".svs").unlink()
    assert found(download)[1].files[0].suffix == ".tif"


def test_a_square_is_where_it_was_drawn_and_the_scale_is_the_scanners(download: Path) -> None:
    image = SOURCE.read(found(download)[0])
    expected = np.zeros((40, 60), int)
    expected[5:15, 10:20] = 1
    assert (image.masks[EPITHELIAL] == expected).all() and not image.masks[LYMPHOCYTE].any()
    assert image.complete == set(SOURCE.labels) == set(image.masks) and image.ignore is None
    assert image.mpp == pytest.approx(0.19448)


@pytest.mark.parametrize("mpp", ["0", "-1", "250", "nan", "", "unknown"])
def test_an_implausible_scale_is_left_to_the_item(tmp_path: Path, mpp: str) -> None:
    write(tmp_path, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", xml(mpp=mpp))
    assert SOURCE.read(only(tmp_path)).mpp == 0 and only(tmp_path).mpp == 0.25


def test_later_regions_win_within_a_kind_and_ambiguous_ones_are_ignored(tmp_path: Path) -> None:
    shifted = tuple((x + 5, y) for x, y in SQUARE)
    outside = ((50.0, 30.0), (1e12, 30.0), (1e12, 1e12), (50.0, 1e12))
    text = xml(
        ("Lymphocyte", [SQUARE, shifted, SQUARE[:2], ()]), ("Ambiguous", [outside, ((-9, -9), (-2, -9), (-2, -2))])
    )
    write(tmp_path, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", text)
    image = SOURCE.read(only(tmp_path))
    expected = np.zeros((40, 60), int)
    expected[5:15, 10:15], expected[5:15, 15:25] = 1, 2
    assert (image.masks[LYMPHOCYTE] == expected).all() and len(image.masks) == 4
    assert image.ignore is not None and image.ignore[30:, 50:].all() and image.ignore.sum() == 100


def test_training_crops_of_patients_who_are_tested_are_left_out(download: Path) -> None:
    write(download, "train", "TCGA-2Z-A9JG-01Z-00-DX2_1", xml())
    write(download, "train", "TCGA-A2-A0ES-01Z-00-DX1_1", xml())
    write(download, "test", "TCGA-MP-A4T7-01Z-00-DX1_1", xml())
    assert [item.patient for item in found(download)] == ["TCGA-5P-A9K0", "TCGA-2Z-A9JG", "TCGA-MP-A4T7"]
    assert problems(download) == [
        f"TCGA-{patient}_1.tif: left out of training, patient TCGA-{patient[:7]} is also in the test part"
        for patient in ("2Z-A9JG-01Z-00-DX2", "A2-A0ES-01Z-00-DX1")
    ]


def test_a_missing_half_is_named(download: Path) -> None:
    write(download, "test", "TCGA-2Z-A9JG-01Z-00-DX1_2", xml(), "")
    write(download, "test", "TCGA-2Z-A9JG-01Z-00-DX1_3", xml()).with_suffix(".xml").unlink()
    (download / PARTS["train"]).rename(download / "elsewhere")
    assert len(found(download)) == 1
    missing, without_image, without_xml = problems(download)
    assert "MoNuSAC_images_and_annotations is missing" in missing
    assert without_image.endswith("DX1_2.xml: no .svs or .tif beside it")
    assert without_xml.endswith("DX1_3.tif: image without .xml")
    with pytest.raises(BadInput, match="no annotated image; expected MoNuSAC_images_and_annotations"):
        found(download / "elsewhere")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (xml(("Epithelial", [SQUARE]))[:-20], "damaged or no XML"),
        (xml(("Eosinophil", [SQUARE])), "unknown class 'eosinophil'"),
        (xml(("Epithelial", [((1, 2), (float("nan"), 3), (4, 5))])), "not finite"),
        (xml(("Epithelial", [SQUARE])).replace('X="9.5"', 'X="left"'), "corner without numbers"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>', "defines a document type"),
        ("<svg/>", "begins with <svg>"),
    ],
)
def test_a_broken_xml_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, "test", "TCGA-2Z-A9JG-01Z-00-DX1_1", text)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(only(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("index", [0, 1])
def test_a_truncated_picture_is_refused_in_one_line(download: Path, index: int) -> None:
    item = found(download)[index]
    item.files[0].write_bytes(item.files[0].read_bytes()[:900])
    with pytest.raises(BadInput, match="damaged") as error:
        SOURCE.read(item)
    assert "\n" not in str(error.value)
