"""A model folder as a predictor: asked with its labels' own words, through the path a user takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from pathsegmentor.atomic import sha256_of
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Picture
from pathsegmentor.model.find import check_device, find_folder
from pathsegmentor.model.folder import CONFIG, load_model
from pathsegmentor.segment import Segmenter
from pathsegmentor.segment.encoded import MOST_ENLARGED


class TextModel:
    """A ``Segmenter`` that is asked by label; it looks at an image once, whatever is asked of it."""

    wants_boxes: WantsBoxes = "none"

    def __init__(self, segmenter: Segmenter, config_sha256: str) -> None:
        self.segmenter = segmenter
        self.config_sha256 = config_sha256
        self.name = segmenter.model.name
        self.weights = segmenter.model.weights_sha256
        self._known = frozenset(label.id for label in segmenter.model.vocabulary)

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Unknown labels, and what cannot be seen at the image's scale, cannot be asked."""
        if label not in self._known:
            return f"model {self.name} does not know this label"
        looked_at = self.segmenter.model.config.mpp_of(label)
        if max(mpp) > MOST_ENLARGED * looked_at:
            return f"the model looks for it at {looked_at:g} um per pixel; {max(mpp):.3g} are too coarse for that"
        return ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """The segmenter's answers."""
        with one_thread():
            encoded = self.segmenter.encode_image(image)
            result = self.segmenter.segment(encoded, [one.label for one in asked])
        return [Predicted(found.label.id, found.mask, found.presence, found.status) for found in result.founds]


def load_text_model(name: str, device: str) -> TextModel:
    """A bundled model's name, a model folder or a Hub id; raises ``BadModel`` or ``BadInput``."""
    check_device(device)
    shown, folder = find_folder(name)
    return TextModel(Segmenter(load_model(folder, shown, device)), sha256_of(folder / CONFIG))


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are rounded as threads share them out; with one, any number of processes gives the same bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
