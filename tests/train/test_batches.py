"""What is drawn: the same for a seed and a step, in parts or whole, in order, and with masks that fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.errors import BadInput
from pathsegmentor.train.batches import Sampler, draw_absent
from pathsegmentor.train.feed import Feed, Share
from pathsegmentor.train.loop import prepare
from pathsegmentor.train.order import Epochs, rare
from tests.train.tiny import config, sampler


def test_batches_depend_on_seed_and_step_only(data: Path) -> None:
    one, again = sampler(data, 1, images=2), sampler(data, 1, images=2)
    again.batch(3)
    assert torch.equal(one.batch(7).pixels, again.batch(7).pixels)
    assert not torch.equal(one.batch(7).pixels, one.batch(8).pixels)
    assert not torch.equal(one.batch(7).pixels, sampler(data, 2, images=2).batch(7).pixels)
    assert len({one.batch(step).names for step in range(8)}) > 3


def test_another_seed_draws_other_crops_of_an_image(data: Path) -> None:
    """An epoch of one batch shows the same images for every seed, but not the same crops."""
    crops = []
    for seed in (1, 2):
        batch = sampler(data, seed, images=4, order="epoch", stain=0.0, colour=0.0).batch(0)
        crops.append(dict(zip(batch.names, batch.pixels, strict=True)))
    assert set(crops[0]) == set(crops[1]) and len(crops[0]) == 4
    assert not any(torch.equal(crops[0][name], crops[1][name]) for name in crops[0])


def test_parts_of_a_batch_are_the_batch(data: Path) -> None:
    drawn = sampler(data, images=5)
    whole = drawn.batch(2)
    parts = [drawn.batch(2, part, 3) for part in range(3)]
    assert sorted(int(row) for part in parts for row in part.rows) == [0, 1, 2, 3, 4]
    for part in parts:
        assert part.images == 5
        assert torch.equal(part.pixels, whole.pixels[part.rows]) and torch.equal(part.labels, whole.labels[part.rows])
        assert torch.equal(part.targets.masks, whole.targets.masks[part.rows])
        assert part.names == tuple(whole.names[i] for i in part.rows.tolist())


def test_batches_are_the_same_when_images_do_not_fit_in_memory(data: Path) -> None:
    wide, narrow = sampler(data), sampler(data)
    narrow.held_bytes = 1
    for step in range(3):
        assert torch.equal(narrow.batch(step).pixels, wide.batch(step).pixels)
    assert len(narrow._held) == 1 and len(wide._held) > 1


def test_absent_labels_were_mostly_looked_for() -> None:
    rng = np.random.default_rng(0)
    missed, foreign = ["benign", "normal", "polyp"], ["lung", "kidney"]
    drawn = [draw_absent(missed, foreign, 2, 0.2, rng) for _ in range(400)]
    assert all(len(names) == len(set(names)) == 2 for names in drawn)
    assert 0.15 < sum(name in foreign for names in drawn for name in names) / 800 < 0.25
    assert sorted(draw_absent(missed, foreign, 9, 0.0, rng)) == missed
    assert draw_absent([], foreign, 2, 0.0, rng) == [] == draw_absent([], [], 0, 0.5, rng)


def test_masks_follow_the_pixels_through_augmentation(data: Path) -> None:
    """Discs are dark: inside a mask the crop must be darker than outside, however it was turned."""
    batches = sampler(data)
    for step in range(5):
        batch = batches.batch(step)
        grey = batch.pixels.float().mean(dim=1)
        for image, mask, known in zip(grey, batch.targets.masks[:, 0], batch.targets.known[:, 0], strict=True):
            inside, outside = mask & known, ~mask & known
            if inside.sum() > 50:
                assert image[inside].mean() < image[outside].mean() - 40


def test_turns_and_flips_happen_as_often_as_asked(data: Path) -> None:
    """Without them, and with the whole image in view, every crop of an image is the same."""
    still = {"stain": 0.0, "colour": 0.0, "scale": (1.0, 1.0), "fit": True, "images": 1, "aim": 0.0}
    never, always = sampler(data, turn=0.0, flip=0.0, **still), sampler(data, turn=1.0, flip=0.0, **still)
    flipped = sampler(data, turn=0.0, flip=1.0, **still)
    for step in range(6):
        upright = never.batch(step).pixels[0]
        turned = [torch.rot90(upright, k, (1, 2)) for k in (1, 2, 3)]
        assert any((always.batch(step).pixels[0].int() - t.int()).abs().max() <= 1 for t in turned)
        assert (flipped.batch(step).pixels[0].int() - upright.flip(2).int()).abs().max() <= 1
    assert len({bytes(never.batch(step).pixels.numpy()) for step in range(30)}) == 4


def test_fit_shows_the_whole_image(data: Path) -> None:
    """Images shrink into the crop: nothing is beyond the border, and all discs are in view."""
    fitted = sampler(data, fit=True, scale=(1.0, 1.0), turn=0.0, flip=0.0, images=4, absent=0.0)
    batch = fitted.batch(0)
    assert batch.targets.known.all()
    for mask, name in zip(batch.targets.masks[:, 0], batch.names, strict=True):
        row = next(item.entry.first for item in fitted.items if item.entry.first.image == name)
        assert mask.float().mean().item() == pytest.approx(row.mask_pixels / (row.height * row.width), rel=0.05)
    small = sampler(data, fit=True, scale=(0.5, 0.5), images=4).batch(0)
    assert small.targets.known.float().mean().item() == pytest.approx(0.25, abs=0.03)


@given(st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_draws_every_item_once(count: int, seed: int) -> None:
    order = Epochs(np.ones(count), seed)
    assert order.length == count
    first, second = order.items(0, count), order.items(count, count)
    assert sorted(first) == sorted(second) == list(range(count))
    assert order.items(1, count) == (first + second)[1 : 1 + count]
    assert count < 8 or first != second


def test_an_epoch_draws_an_item_as_often_as_it_counts() -> None:
    order = Epochs(np.array([2.0, 1.0, 0.5, 0.5, 3.0]), 0)
    assert order.length == 7
    for epoch in range(4):
        drawn = Counter(order.items(7 * epoch, 7))
        assert drawn[0] == 2 and drawn[1] == 1 and drawn[4] == 3 and drawn[2] + drawn[3] == 1


def test_rare_labels_come_more_often() -> None:
    common, scarce = [{"a"}] * 96, [{"a", "b"}] * 4
    factors = rare([*common, *scarce, set()], 0.25)
    assert factors[:96].tolist() == [1.0] * 96 and factors[-1] == 1.0
    assert factors[96] == pytest.approx(np.sqrt(0.25 / (4 / 101)))
    assert rare([*common, *scarce], 0.0).tolist() == [1.0] * 100


def test_a_step_of_epochs_reads_every_image_once(data: Path) -> None:
    drawn = sampler(data, images=2, order="epoch")
    names = [name for step in range(2) for name in drawn.batch(step).names]
    assert len(set(names)) == 4


def test_epochs_are_turned_into_steps(data: Path) -> None:
    """Three images are not held out: 5 epochs in batches of 2 are 8 steps."""
    epochs = replace(
        config(1),
        schedule=replace(config(1).schedule, steps=None, epochs=5),
        sampling=sampler(data, images=2, order="epoch").config,
    )
    assert prepare(epochs, data).steps == 8


def equal(one: list, other: list) -> bool:
    return all(
        torch.equal(a.pixels, b.pixels) and torch.equal(a.targets.masks, b.targets.masks) and a.names == b.names
        for a, b in zip(one, other, strict=True)
    )


def test_a_feed_gives_the_sampler_s_parts_from_any_step(data: Path) -> None:
    share = Share(process=1, processes=2, accumulate=2)
    feed = Feed(sampler(data, images=4), share, 0, 10)
    expected = sampler(data, images=4)
    for step in (3, 4, 0, 1):
        assert equal(feed.step(step), [expected.batch(step, part, 4) for part in (2, 3)])
    feed.close()


def test_more_parts_than_images_are_refused(data: Path) -> None:
    with pytest.raises(BadInput, match="2 images cannot pass in 3 parts"):
        Share(processes=3, process=2).of(sampler(data, images=2), 0)


@pytest.mark.slow
def test_reading_processes_give_the_same_batches(data: Path) -> None:
    feed = Feed(sampler(data, images=2), Share(), 2, 8)
    expected: Sampler = sampler(data, images=2)
    for step in (5, 6, 7, 2):
        assert equal(feed.step(step), [expected.batch(step)])
    feed.close()
