"""The last part of a run: the presence head alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter

from pathsegmentor.model.joint_decoder import last_word
from pathsegmentor.model.presence import PresenceHead
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.run import Run, log, pixels_of, progress_bar, rate_at, read_prompts


def teach_presence(fabric: Fabric, run: Run, out: Path) -> None:
    """Teach the presence head alone, on what the finished network sees; nothing else changes.

    It starts afresh, since before it had followed a network that moved. This helps a short run, whose head
    has not yet learnt to tell grades; after nano's 4,400 steps it changed little. A run that is stopped here
    does this part again.
    """
    schedule, net = run.config.schedule, run.net
    if net.presence is None or not schedule.presence_steps:
        return
    torch.manual_seed(run.config.seed)
    net.load_state_dict(run.average)
    net.eval()
    head = PresenceHead.like(net.presence).to(fabric.device)
    net.presence = head
    optimizer = torch.optim.AdamW(head.parameters(), lr=schedule.presence_rate, weight_decay=schedule.decay)
    course = replace(schedule, steps=schedule.presence_steps, rate=schedule.presence_rate)
    writer = SummaryWriter(out / "tensorboard", purge_step=schedule.steps)
    with progress_bar() as progress:
        for step in progress.track(range(schedule.presence_steps), description=f"{run.config.name}, presence"):
            rate = rate_at(step, course)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with fabric.autocast():
                loss = presence_loss(run, head, run.batches.batch(schedule.steps + step))
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            optimizer.step()
            log(out, writer, schedule.steps + step, {"presence": loss.item(), "rate": rate})
    writer.close()
    run.average = {name: value.detach().clone() for name, value in net.state_dict().items()}


def presence_loss(run: Run, head: PresenceHead, batch: Batch) -> Tensor:
    """Cross-entropy of the presence of a batch's prompts, for a head on a network that does not learn."""
    net = run.net
    with torch.no_grad():
        read = read_prompts(run, batch.labels)
        levels = net.image_tower(pixels_of(run, batch))
        memory = net.joint_decoder.remember(*net.pixel_decoder(levels))
        words = last_word(net.joint_decoder(memory, read.tokens, read.real).words, read.real)
    logits = head(*head.remember(levels[-1]), read.features, words)
    return F.binary_cross_entropy_with_logits(logits, batch.targets.present.to(logits))
