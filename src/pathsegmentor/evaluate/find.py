"""From the name a user gives to a predictor."""

from __future__ import annotations

from dataclasses import dataclass

from pathsegmentor.evaluate.predictor import Predictor


@dataclass(frozen=True)
class Maker:
    """Makes the predictor that ``model`` names; travels to other processes in its place."""

    model: str
    device: str = "cpu"

    def __call__(self) -> Predictor:
        """Load it; raises ``BadModel`` or ``BadInput``."""
        # Baselines that need no torch do not wait for it.
        from pathsegmentor.evaluate.baselines import is_baseline, load_baseline
from pathsegmentor.evaluate.ours import load_text_model

        return load_text_model(self.model, self.device)
