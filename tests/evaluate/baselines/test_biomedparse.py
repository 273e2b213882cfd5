"""BiomedParse: released weights through the converter, asked in its own way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from pathsegmentor.evaluate.baselines import load_baseline
from pathsegmentor.evaluate.baselines.biomedparse import BiomedParse, bare_prompt, paper_prompt
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.imaging import Picture
from pathsegmentor.model.released import import_checkpoint
from pathsegmentor.vocabulary import Label
from tests.model.small import LABELS, SMALL, released, small_words


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BiomedParse:
    folder = tmp_path_factory.mktemp("biomedparse")
    torch.save(released(), folder / "biomedparse_v1.pt")
    small_words().save(str(folder / "tokenizer.json"))
    import_checkpoint(folder / "biomedparse_v1.pt", folder / "model", folder / "tokenizer.json", SMALL)
    loaded = load_baseline(f"biomedparse:{folder / 'model'}")
    assert isinstance(loaded, BiomedParse)
    return loaded


@pytest.mark.parametrize(
    ("label", "paper", "bare"),
    [
        ("breast-nuclei-neoplastic", "neoplastic in breast pathology", "neoplastic"),
        ("Colon-Tissue-High-grade neoplasia gland", "high-grade neoplasia gland in colon pathology",
         "high-grade neoplasia gland"),
        ("unspecified-cell-lymphocyte", "lymphocyte in unspecified pathology", "lymphocyte"),
    ],
)  # fmt: skip
def test_prompts_leave_out_the_structure(label: str, paper: str, bare: str) -> None:
    assert (paper_prompt(Label.from_id(label)), bare_prompt(Label.from_id(label))) == (paper, bare)


def test_it_answers_as_the_released_demo_does(model: BiomedParse) -> None:
    """Bicubic to a square, one prompt, logits bilinear straight to the image's size."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3)).astype(np.uint8)
    found = model.answer(Picture(pixels, None, "x"), [Asked(label) for label in LABELS])
    net = model.model.net
    square = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)).copy()
    for answer, label in zip(found, LABELS, strict=True):
        ids, real = model.model.tokenize([paper_prompt(Label.from_id(label))])
        with torch.inference_mode():
            normal = (torch.from_numpy(square).float() - torch.tensor(SMALL.mean)) / torch.tensor(SMALL.std)
            tokens, features = net.text_encoder(ids, real)
            memory = net.encode(normal.permute(2, 0, 1)[None])
            logits = net.answer_jointly(memory, tokens[None], features[None], real[None]).logits
        expected = (F.interpolate(logits, (50, 80), mode="bilinear", align_corners=False)[0, 0] > 0).numpy()
        assert answer.label == label and answer.presence is None and answer.status is None and answer.prompts == 1
        assert (answer.mask != expected).mean() < 1e-3 and answer.mask.shape == (50, 80)
    assert any(0 < answer.mask.mean() < 1 for answer in found)


def test_a_prompt_is_answered_alike_whatever_else_is_asked(model: BiomedParse) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    image = Picture(pixels, None, "x")
    together = model.answer(image, [Asked(label) for label in LABELS])
    alone = [model.answer(image, [Asked(label)])[0] for label in LABELS]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(together, alone, strict=True))
