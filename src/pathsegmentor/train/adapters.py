"""Low-rank adapters: matrices change by a product of two thin ones, which is added to them at the end.

E. Hu et al., "LoRA", 2021. The model folder that comes out has the form of the one that went in.
"""

from __future__ import annotations

from collections.abc import Mapping

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


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of an adapted network as weights of the network it was, changes added."""
    whole = {}
    for key, value in state.items():
        place, adapted, name = key.partition(".parametrizations.")
        if not adapted:
            whole[key] = value
        elif name.endswith(".original"):
            start = key.removesuffix("original") + "0."
            whole[f"{place}.{name.removesuffix('.original')}"] = value + state[f"{start}up"] @ state[f"{start}down"]
    return whole
