"""Encode once, ask many: 21 prompts on one 1024 image against 1 prompt, in one run, for ``nano`` and ``base``.

``python benchmarks/encode_once.py [nano] [base]`` prints and writes ``benchmarks/results/encode_once_MODEL.json``.
``base`` is the paper's size with random weights (the work is the same); it needs about 5 GB and minutes.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.find import find_model
from pathsegmentor.model.network import PathSegmentorNet

RESULTS = Path(__file__).parent / "results"
SIDE, MANY, REPEATS = 1024, 21, {"nano": 5, "base": 1}


@torch.inference_mode()
def ask(net: PathSegmentorNet, pixels: torch.Tensor, ids: torch.Tensor, prompts: int) -> tuple[float, float]:
    """Seconds to encode one image and to answer the prompts, one by one in batches of seven."""
    started = time.perf_counter()
    memory = net.encode(net.normalise(pixels))
    encoded = time.perf_counter()
    for first in range(0, prompts, 7):
        part = ids[first : min(first + 7, prompts)]
        mask = torch.ones(part.shape, dtype=torch.bool)
        tokens, features = net.text_encoder(part, mask)
        answer = net.answer(memory, tokens[None], features[None], mask[None])
        answer.logits.sigmoid()
    return encoded - started, time.perf_counter() - encoded


def measure(name: str) -> dict[str, object]:
    """Best of a few repeats, one prompt and many prompts in turn."""
    torch.manual_seed(0)
    net = find_model("nano").net if name == "nano" else PathSegmentorNet(ModelConfig()).eval()
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (1, 3, SIDE, SIDE), dtype=np.uint8))
    ids = torch.from_numpy(rng.integers(0, net.config.text.vocab, (MANY, 10)))
    if name == "nano":
        ask(net, pixels, ids, 1)
    one, many = [], []
    for _ in range(REPEATS[name]):
        one.append(ask(net, pixels, ids, 1))
        many.append(ask(net, pixels, ids, MANY))
    best_one, best_many = min(map(sum, one)), min(map(sum, many))
    return {
        "model": name,
        "image": SIDE,
        "encode_seconds": round(min(e for e, _ in one), 3),
        "one_prompt_seconds": round(best_one, 3),
        f"{MANY}_prompts_seconds": round(best_many, 3),
        "ratio": round(best_many / best_one, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "processor": processor(),
        "torch": torch.__version__,
        "command": f"python benchmarks/encode_once.py {name}",
    }


def processor() -> str:
    """The processor's name as the system tells it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    for model in sys.argv[1:] or ["nano"]:
        found = measure(model)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"encode_once_{model}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found, indent=1))
