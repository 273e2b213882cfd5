"""From the name a user gives to a predictor."""

from __future__ import annotations

from dataclasses import dataclass

from pathsegmentor.atomic import sha256_of
from pathsegmentor.evaluate.ours import TextModel
from pathsegmentor.evaluate.predictor import Predictor
from pathsegmentor.model.find import check_device, find_folder
from pathsegmentor.model.folder import CONFIG, load_model
from pathsegmentor.segment import Segmenter


@dataclass(frozen=True)
class Maker:
    """Makes the predictor that ``model`` names; travels to other processes in its place."""

    model: str
    device: str = "cpu"

    def __call__(self) -> Predictor:
        """Load it; raises ``BadModel`` or ``BadInput``."""
        check_device(self.device)
        name, folder = find_folder(self.model)
        model = load_model(folder, name, self.device)
        return TextModel(Segmenter(model), sha256_of(folder / CONFIG))
