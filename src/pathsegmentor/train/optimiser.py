"""AdamW with its groups, and the course of the learning rate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pathsegmentor.train.config import ScheduleConfig


def optimiser(net: nn.Module, config: ScheduleConfig) -> torch.optim.Optimizer:
    """AdamW; vectors and scalars (norms, biases, scales) do not decay, parts of the network have their own rates.

    A part whose rate is 0 is frozen: it gets no gradient. What was frozen before stays so.
    """
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        factor = config.rates.get(name.partition(".")[0], 1.0)
        learns = factor > 0 and parameter.requires_grad
        parameter.requires_grad_(learns)
        if learns:
            groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "factor": factor, "weight_decay": config.decay if matrix else 0.0}
            for (factor, matrix), parameters in groups.items()
        ],
        lr=config.rate,
    )


def rate_at(step: int, steps: int, config: ScheduleConfig) -> float:
    """Learning rate of a step of a run of ``steps``: linear warm-up, then polynomial decay or drops."""
    warm = int(config.warmup * steps)
    if step < warm:
        return config.rate * (step + 1) / warm
    if config.drops:
        return config.rate * float(0.1 ** sum(step >= share * steps for share in config.drops))
    left = 1 - (step - warm) / max(steps - warm, 1)
    return float(config.rate * left**config.power)
