"""A look at a fixed validation set: how good the averaged weights are, and pictures for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor.imaging.draw import PALETTE, overlay, write_png
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.run import Run, sampler_of, teach, words_of

CROPS, SHOWN, ACROSS, WIDTH = 32, 8, 4, 400


@dataclass(frozen=True)
class Seen:
    """What the model says of one crop: masks (P, S, S) boolean and presences (P,), or None without that head."""

    batch: Batch
    masks: Tensor
    presence: Tensor | None


class LookingSet:
    """The same crops at every look, from held-out images, or from training ones where nothing is held out."""

    def __init__(self, run: Run) -> None:
        config, material = run.config, run.material
        held = material.pathseg.select("val", config.sources, config.held_out, config.seed)
        self.held_out = bool(held)
        plain = dict.fromkeys(("stain", "colour", "scanner", "glass", "background"), 0.0)
        one_size = {"images": 1, "crop": config.sampling.crop[:1], "scale": (1.0, 1.0), "order": "weighted"}
        calm = replace(config.sampling, **plain, **one_size)  # type: ignore[arg-type]
        sampler = sampler_of(
            replace(config, sampling=calm), material.pathseg, held or material.entries, material.start.labels
        )
        self.batches = [sampler.batch(i) for i in range(CROPS)]

    def look(self, run: Run, out: Path) -> dict[str, float]:
        """Scores by name; ``out/pictures`` gets a sheet of the first crops."""
        with averaged(run) as net:
            seen = [_answer(run, net, batch) for batch in self.batches]
        folder = out / "pictures"
        folder.mkdir(exist_ok=True)
        labels = run.material.start.labels
        write_png(folder / f"step-{run.step:08d}.png", sheet([_drawn(one, labels) for one in seen[:SHOWN]]))
        return scores(seen)


@contextmanager
def averaged(run: Run) -> Iterator[PathSegmentorNet]:
    """The network with the averaged weights, in evaluation mode; afterwards it is as it was, bit by bit."""
    net = run.material.start.net
    state = net.state_dict()
    kept = {name: value.clone() for name, value in state.items()} if run.config.schedule.ema else {}
    for name in kept:
        state[name].copy_(run.average[name])
    net.eval()
    try:
        with torch.no_grad():
            yield net
    finally:
        for name, value in kept.items():
            state[name].copy_(value)
        teach(net, run.config)


def scores(seen: list[Seen]) -> dict[str, float]:
    """Mean Dice over prompts whose object is there, and the share of right presences."""
    dice, right = [], []
    for one in seen:
        targets = one.batch.targets
        for p in range(targets.present.shape[1]):
            known = targets.known[0, p]
            found, truth = one.masks[p] & known, targets.masks[0, p] & known
            if targets.present[0, p]:
                dice.append(2.0 * (found & truth).sum().item() / (found.sum() + truth.sum()).item())
        if one.presence is not None:
            right.append(((one.presence > 0.5) == targets.present[0]).float().mean().item())
    named = {"look_dice": dice, "look_presence": right}
    return {name: float(np.mean(values)) for name, values in named.items() if values}


def _answer(run: Run, net: PathSegmentorNet, batch: Batch) -> Seen:
    device = run.fabric.device
    words = words_of(run.material, batch.labels, device)
    tokens, features = net.text_encoder(words.ids, words.real)
    memory = net.encode(net.normalise(batch.pixels.to(device)).contiguous(memory_format=torch.channels_last))
    answer = net.answer(memory, tokens[words.which], features[words.which], words.real[words.which])
    logits = F.interpolate(answer.logits, size=batch.pixels.shape[-2:], mode="bilinear")[0]
    masks = (logits.sigmoid() > run.config.model.threshold).cpu()
    return Seen(batch, masks, None if answer.presence is None else answer.presence[0].sigmoid().cpu())


def _drawn(seen: Seen, labels: list[str]) -> NDArray[np.uint8]:
    """A crop with its first prompt: annotation in white, answer in green."""
    pixels = np.ascontiguousarray(seen.batch.pixels[0].permute(1, 2, 0).numpy())
    label = labels[int(seen.batch.labels[0, 0])]
    presence = "" if seen.presence is None else f", presence {seen.presence[0]:.2f}"
    there = "annotated" if seen.batch.targets.present[0, 0] else "annotated as absent"
    layers = [
        (f"{there}: {label}", seen.batch.targets.masks[0, 0].numpy(), PALETTE[5]),
        (f"found{presence}", seen.masks[0].numpy(), PALETTE[0]),
    ]
    return overlay(pixels, layers)


def sheet(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of one shape in rows of four, each shrunk to ``WIDTH`` pixels."""
    width, height = WIDTH, round(pictures[0].shape[0] * WIDTH / pictures[0].shape[1])
    same = [np.asarray(cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA), np.uint8) for p in pictures]
    same += [np.full_like(same[0], 255)] * (-len(same) % ACROSS)
    return np.concatenate([np.concatenate(same[i : i + ACROSS], axis=1) for i in range(0, len(same), ACROSS)])
