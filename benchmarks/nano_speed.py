"""Ways to run nano's image tower and pixel decoder on a CPU, against plain eager PyTorch, in one run.

``python benchmarks/nano_speed.py`` times them in turns on one tile and writes
``benchmarks/results/nano_speed.json``: median milliseconds, ratio to eager, largest difference of the mask features
relative to their spread. ONNX Runtime needs ``pip install onnx onnxscript onnxruntime``.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pathsegmentor.model.find import find_model

RESULT = Path(__file__).parent / "results" / "nano_speed.json"
REPEATS, SIDE = 15, 384


class Encoder(nn.Module):
    """Normalised pixels (B, 3, H, W) -> mask features and the maps for the joint decoder."""

    def __init__(self, tower: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.tower, self.decoder = tower, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps, features = self.decoder(self.tower(x))
        return features, *maps


def folded(encoder: Encoder) -> Encoder:
    """A copy whose batch norms are folded into the convolutions before them."""
    encoder = copy.deepcopy(encoder)
    for module in encoder.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i] = fuse_conv_bn_eval(module[i], module[i + 1])
                    module[i + 1] = nn.Identity()
    return encoder


def onnx(encoder: Encoder, x: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        torch.onnx.export(encoder, (x,), path, dynamo=True, verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda y: tuple(map(torch.from_numpy, session.run(None, {name: y.numpy()})))


@torch.no_grad()
def main() -> None:
    warnings.simplefilter("ignore")
    net = find_model("nano").net
    eager = Encoder(net.image_tower, net.pixel_decoder).eval()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    last = x.to(memory_format=torch.channels_last)
    expected = eager(x)[0]  # also fills the cache of position embeddings, which tracing must not do
    fold = folded(eager)
    fold_last = copy.deepcopy(fold).to(memory_format=torch.channels_last)

    def bf16(y: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return tuple(eager(y))

    ways: dict[str, tuple[Callable[[Tensor], tuple[Tensor, ...]], Tensor]] = {
        "eager": (eager, x),
        "channels_last": (copy.deepcopy(eager).to(memory_format=torch.channels_last), last),
        "folded norms": (fold, x),
        "folded norms, channels_last": (fold_last, last),
        "bf16 autocast": (bf16, x),
        "torch.compile": (torch.compile(eager), x),
        "torch.compile, folded, channels_last": (torch.compile(fold_last), last),
        "ONNX Runtime": (onnx(eager, x), x),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for name, (run, y) in ways.items():
        started = time.perf_counter()
        out = run(y)[0].float()
        found[name] = {
            "first_call_s": round(time.perf_counter() - started, 2),
            "difference": float((out - expected).abs().max() / expected.std()),
        }
        run(y)
    for _ in range(REPEATS):
        for name, (run, y) in ways.items():
            started = time.perf_counter()
            run(y)
            seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["eager"])
    for name, values in seconds.items():
        median = statistics.median(values)
        found[name] |= {"median_ms": round(1000 * median, 1), "times_eager": round(base / median, 2)}
        print(name, found[name], flush=True)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    RESULT.write_text(json.dumps({"tile": SIDE, "machine": machine, "ways": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
