"""Turn a model whose pyramid normalises each tile by its own statistics into one whose statistics are fixed.

``python -m pathsegmentor.train.fix_statistics MODEL CONFIG --data pathseg --out FOLDER``: on crops drawn as CONFIG
says, the mean and the spread of every group are measured; BatchNorm then does on average what GroupNorm did, so
training goes on where it was. CONFIG has ``norm: batch`` and MODEL's other sizes.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.model.folder import load_model, save_model
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.batches import Sampler
from pathsegmentor.train.config import TrainConfig, read_train_config

STEPS = 40


class Moments:
    """Mean and mean square of a layer's input, per channel, over all crops."""

    def __init__(self, layer: nn.GroupNorm) -> None:
        self.layer, self.count = layer, 0
        self.first = self.second = torch.zeros(layer.num_channels)
        layer.register_forward_pre_hook(self._see)

    def _see(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].float()
        self.count += len(x)
        self.first = self.first + x.mean(dim=(2, 3)).sum(dim=0)
        self.second = self.second + x.square().mean(dim=(2, 3)).sum(dim=0)

    def fixed(self) -> dict[str, Tensor]:
        """The state of the BatchNorm that does the same on average."""
        mean, square = self.first / self.count, self.second / self.count
        groups = self.layer.num_groups
        group_mean = mean.view(groups, -1).mean(dim=1).repeat_interleave(len(mean) // groups)
        group_square = square.view(groups, -1).mean(dim=1).repeat_interleave(len(mean) // groups)
        spread = (group_square - group_mean.square() + self.layer.eps).sqrt()
        var = square - mean.square()
        weight, bias = self.layer.weight.detach(), self.layer.bias.detach()
        return {
            "weight": weight * (var + 1e-5).sqrt() / spread,
            "bias": bias + weight * (mean - group_mean) / spread,
            "running_mean": mean,
            "running_var": var,
            "num_batches_tracked": torch.tensor(0),
        }


def sampler(config: TrainConfig, data: Path, labels: list[str]) -> Sampler:
    """Crops of all training images, as the config draws them."""
    pathseg = PathSeg(data)
    entries = pathseg.select("train", config.sources, config.held_out, config.seed)
    scales = {label: config.model.mpp_of(label) for label in labels}
    return Sampler(pathseg, entries, labels, scales, config.sources, config.sampling, config.seed)


@torch.no_grad()
def main() -> None:
    """Read, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    model, config = load_model(asked.model), read_train_config(asked.config)
    labels = [label.id for label in model.vocabulary]
    layers = {n: m for n, m in model.net.pixel_decoder.named_modules() if isinstance(m, nn.GroupNorm)}
    moments = {name: Moments(layer) for name, layer in layers.items()}
    crops = sampler(config, asked.data, labels)
    for step in range(STEPS):
        model.net.encode(model.net.normalise(crops.batch(step).pixels))
    state = dict(model.net.state_dict())
    for name, seen in moments.items():
        state |= {f"pixel_decoder.{name}.{key}": value for key, value in seen.fixed().items()}
    pixel = dataclasses.replace(model.config.pixel, norm="batch")
    fixed = dataclasses.replace(model.config, pixel=pixel)
    PathSegmentorNet(fixed).load_state_dict(state)
    save_model(asked.out, fixed, state, model.tokenizer, labels, f"# {model.name}, with fixed statistics\n")


if __name__ == "__main__":
    main()
