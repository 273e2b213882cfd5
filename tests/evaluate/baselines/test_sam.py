"""SAM, MedSAM and SAM-Med2D: original weights in, the masks that an independent pipeline gives out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from skimage.transform import resize
from torch.nn import functional as F

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.evaluate.baselines import load_baseline
from pathsegmentor.evaluate.baselines.sam import MEDSAM
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.imaging import Picture
from tests.evaluate.baselines.sam_files import SIDE, network, original

BOXES = np.array([[5.0, 8.0, 40.0, 30.0], [50.0, 10.0, 88.0, 55.0]])
GLAND = "colon-tissue-gland"


def picture(height: int = 60, width: int = 90) -> Picture:
    """Blobs of several colours, so that channels and rows are no mirror images of each other."""
    yy, xx = np.mgrid[:height, :width]
    red, green = 120 + 100 * np.sin(xx / 7), 120 + 100 * np.cos(yy / 5 + xx / 20)
    pixels = np.stack([red, green, 255.0 * (xx + 2 * yy) / (width + 2 * height)], axis=-1)
    return Picture(pixels.astype(np.uint8), (0.5, 0.5), "glas/made")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    torch.save(original(), folder / "sam.pth")
    torch.save({"model": original(), "epoch": 3}, folder / "trained.pth")
    torch.save({"model": original(adapters=True)}, folder / "med2d.pth")
    state = {name: t.clone() for name, t in network().state_dict().items() if "shared_embedding" not in name}
    save_file(state, folder / "model.safetensors")
    return folder


def mask(model: str, boxes: NDArray[np.float64] = BOXES, image: Picture | None = None) -> NDArray[np.bool_]:
    (found,) = load_baseline(model).answer(image or picture(), [Asked(GLAND, boxes)])
    assert found.prompts == len(boxes) and found.label == GLAND and found.presence is None
    return found.mask


def test_sam_gives_what_transformers_own_processor_gives(files: Path) -> None:
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    processor = SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE})
    image = picture()
    inputs = processor(image.pixels, return_tensors="pt")
    scaled = torch.tensor(BOXES * np.array([64 / 90, 43 / 60] * 2), dtype=torch.float32)[None]
    with torch.inference_mode():
        out = network()(pixel_values=inputs["pixel_values"], input_boxes=scaled, multimask_output=False)
    logits = F.interpolate(out.pred_masks[0], (SIDE, SIDE), mode="bilinear", align_corners=False)[..., :43, :]
    expected = (F.interpolate(logits, (60, 90), mode="bilinear", align_corners=False) > 0).any(dim=0)[0].numpy()
    assert 0.02 < expected.mean() < 0.98
    assert (mask(f"sam-instances:{files / 'sam.pth'}") != expected).mean() < 1e-3


@pytest.mark.parametrize("name", ["trained.pth", "model.safetensors"])
def test_layouts_of_the_same_weights_answer_alike(files: Path, name: str) -> None:
    assert np.array_equal(mask(f"sam:{files / 'sam.pth'}"), mask(f"sam:{files / name}"))


def test_a_label_is_answered_alike_whatever_else_is_asked(files: Path) -> None:
    model = load_baseline(f"medsam-instances:{files / 'sam.pth'}")
    other = np.array([[0.0, 0.0, 90.0, 60.0]])
    both = model.answer(picture(), [Asked("colon-tissue-benign gland", other), Asked(GLAND, BOXES)])
    assert np.array_equal(both[1].mask, model.answer(picture(), [Asked(GLAND, BOXES)])[0].mask)
    assert not np.array_equal(both[0].mask, both[1].mask)


def test_more_boxes_than_are_asked_at_once_are_the_union_of_each(files: Path) -> None:
    model = load_baseline(f"medsam-instances:{files / 'sam.pth'}")
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 40, (37, 2)).astype(float)
    boxes = np.concatenate([corner, corner + rng.integers(4, 20, (37, 2))], axis=1)
    each = [model.answer(picture(), [Asked(GLAND, box[None])])[0].mask for box in boxes]
    together = model.answer(picture(), [Asked(GLAND, boxes)])[0].mask
    assert (together != np.logical_or.reduce(each)).mean() < 1e-3 and together.any() and not together.all()


def test_medsam_squeezes_stretches_and_enlarges_probabilities(files: Path) -> None:
    image = picture()
    # Its released script: third order, anti-aliased, cut to whole numbers, then 0 to 1 over the whole image.
    small = resize(image.pixels, (SIDE, SIDE), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    stretched = (small - small.min()) / np.float64(small.max() - small.min())
    pixels = torch.tensor(stretched, dtype=torch.float32).permute(2, 0, 1)[None]
    inclusive = BOXES[:1] - np.array([0, 0, 1, 1])
    scaled = torch.tensor(inclusive / np.array([90, 60, 90, 60]) * SIDE, dtype=torch.float32)[None]
    with torch.inference_mode():
        out = network()(pixel_values=pixels, input_boxes=scaled, multimask_output=False)
    large = F.interpolate(out.pred_masks[0].sigmoid(), (60, 90), mode="bilinear", align_corners=False)
    expected = (large > 0.5)[0, 0].numpy()
    found = mask(f"medsam:{files / 'sam.pth'}", BOXES[:1])
    assert 0.02 < expected.mean() < 0.98
    assert (found != expected).mean() < 1e-3
    assert (found != mask(f"sam:{files / 'sam.pth'}", BOXES[:1])).mean() > 0.01


@pytest.mark.parametrize("size", [(60, 90), (200, 150), (64, 64), (63, 65)])
def test_the_cubic_resize_is_scikit_images(size: tuple[int, int]) -> None:
    pixels = picture(*size).pixels
    expected = resize(pixels, (SIDE, SIDE), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    got = MEDSAM.pixels(pixels, SIDE)[0].permute(1, 2, 0).numpy()
    back = got * (expected.max() - float(expected.min())) + expected.min()
    # Rounding before a cut to whole numbers may go either way.
    assert np.abs(back - expected).max() <= 1.01 and (np.abs(back - expected) > 0.5).mean() < 0.01


def adapter(n: torch.Tensor, state: dict[str, torch.Tensor], block: int) -> torch.Tensor:
    """The formula written out."""
    w = {k.rpartition("Adapter.")[2]: v for k, v in state.items() if f"blocks.{block}.Adapter." in k}
    gate = torch.sigmoid(torch.relu(n.mean((1, 2)) @ w["channel.0.weight"].T) @ w["channel.2.weight"].T)
    y = (gate[:, None, None, :] * n).permute(0, 3, 1, 2)
    z = torch.relu(F.conv2d(y, w["spatial.0.weight"], stride=2, padding=1))
    z = torch.relu(F.conv_transpose2d(z, w["spatial.2.weight"], stride=2, padding=1))
    return F.layer_norm(n + z.permute(0, 2, 3, 1), (32,), w["norm.weight"], w["norm.bias"])


def test_sam_med2d_is_bgr_nearest_with_adapters_and_the_best_of_three(files: Path) -> None:
    import cv2

    image, state, net = picture(), original(adapters=True), network()
    small = cv2.resize(np.ascontiguousarray(image.pixels[..., ::-1]), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    values = (small - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    hooks = [
        layer.mlp.register_forward_hook(lambda m, i, out, b=b: out + adapter(i[0], state, b))
        for b, layer in enumerate(net.vision_encoder.layers)
    ]
    try:
        with torch.inference_mode():
            out = net(
                pixel_values=torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)[None],
                input_boxes=torch.tensor(BOXES[:1] * np.array([64 / 90, 64 / 60] * 2), dtype=torch.float32)[None],
                multimask_output=True,
            )
    finally:
        for hook in hooks:
            hook.remove()
    best = out.pred_masks[0][:, int(out.iou_scores[0, 0].argmax())][:, None]
    logits = F.interpolate(best, (SIDE, SIDE), mode="bilinear", align_corners=False)
    expected = (F.interpolate(logits, (60, 90), mode="bilinear", align_corners=False) > 0)[0, 0].numpy()
    assert 0.02 < expected.mean() < 0.98
    assert (mask(f"sam-med2d:{files / 'med2d.pth'}", BOXES[:1]) != expected).mean() < 1e-3


def test_shown_rgb_is_the_other_order_of_the_channels(files: Path) -> None:
    turned = Picture(np.ascontiguousarray(picture().pixels[..., ::-1]), (0.5, 0.5), "turned")
    weights = files / "med2d.pth"
    assert np.array_equal(mask(f"sam-med2d:{weights}"), mask(f"sam-med2d-rgb:{weights}", image=turned))
    assert not np.array_equal(mask(f"sam-med2d:{weights}"), mask(f"sam-med2d-rgb:{weights}"))


def test_no_box_is_no_mask_and_none_given_is_refused(files: Path) -> None:
    assert not mask(f"sam:{files / 'sam.pth'}", np.zeros((0, 4))).any()
    with pytest.raises(BadInput, match="without boxes"):
        load_baseline(f"sam:{files / 'sam.pth'}").answer(picture(), [Asked(GLAND)])


STATES: dict[str, tuple[str, Any, str]] = {
    "missing": ("sam", lambda s: s.pop("mask_decoder.iou_token.weight"), "missing mask_decoder.iou_token.weight"),
    "unexpected": ("sam", lambda s: s.update({"image_encoder.more": torch.ones(1)}), "unexpected vision_encoder.more"),
    "shape": ("sam", lambda s: s.update({"mask_decoder.iou_token.weight": torch.ones(2, 32)}), "is (2, 32)"),
    "size lost": ("medsam", lambda s: s.pop("image_encoder.pos_embed"), "vision_encoder.pos_embed"),
    "not a number": ("sam", lambda s: s["image_encoder.pos_embed"].fill_(float("nan")), "infinite or no numbers"),
    "other": ("sam", lambda s: [s.pop(k) for k in list(s) if "image" in k], "no weights of SAM"),
}


@pytest.mark.parametrize("kind", STATES)
def test_weights_of_another_network_are_refused(tmp_path: Path, kind: str) -> None:
    name, change, says = STATES[kind]
    state = original()
    change(state)
    torch.save(state, tmp_path / "sam.pth")
    with pytest.raises(BadModel) as told:
        load_baseline(f"{name}:{tmp_path / 'sam.pth'}")
    assert says in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "file"), [("sam", "med2d.pth"), ("sam-med2d", "sam.pth")])
def test_adapters_tell_sam_med2d_from_the_others(files: Path, name: str, file: str) -> None:
    with pytest.raises(BadModel, match="adapters: it is one for"):
        load_baseline(f"{name}:{files / file}")
