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
        """Load a baseline (``NAME`` or ``NAME:WEIGHTS``) or a model; raises ``BadModel`` or ``BadInput``."""
        # Both load torch, which a run that only makes its report again does not need.
        from pathsegmentor.evaluate.baselines import is_baseline, load_baseline
        from pathsegmentor.evaluate.ours import load_text_model

        load = load_baseline if is_baseline(self.model) else load_text_model
        return load(self.model, self.device)
