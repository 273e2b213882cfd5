"""Low-rank adapters: matrices change by a product of two thin ones, which is added to them at the end.

E. Hu et al., "LoRA", 2021. The model folder that comes out has the form of the one that went in.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

PARTS = ("text_encoder", "joint_decoder", "presence")


class LowRank(nn.Module):
    """A matrix (N, M) plus a change of a given rank, which is nothing at first."""

    def __init__(self, matrix: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = matrix.shape
        self.down = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, matrix: Tensor) -> Tensor:
        """(N, M) -> (N, M)."""
        return matrix + self.up @ self.down


def adapt(net: nn.Module, rank: int) -> None:
    """Freeze the network, and let only low-rank changes of the matrices of its heads learn."""
    net.requires_grad_(False)
    for part in PARTS:
        for module in list(getattr(net, part).modules() if getattr(net, part) is not None else ()):
            for name, matrix in list(module.named_parameters(recurse=False)):
                if matrix.ndim == 2 and not isinstance(module, nn.Embedding):
                    parametrize.register_parametrization(module, name, LowRank(matrix, rank))


def merged(net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The adapted network's ``state`` as weights of the network it was, changes added."""
    whole = copy.deepcopy(net)
    whole.load_state_dict(dict(state))
    for module in list(whole.modules()):
        if parametrize.is_parametrized(module):
            for name in list(cast("nn.ModuleDict", module.parametrizations)):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return whole.state_dict()
