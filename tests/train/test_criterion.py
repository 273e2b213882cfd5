"""The loss of a batch, against plain arithmetic on a situation built by hand.

Two images, three prompts each: present, absent, and present but partly unknown. The places at which
predictions are judged are the centres of the mask features' pixels, and objects are made of whole such
pixels, so that every sampled value can be looked up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor.model.joint_decoder import Decoded, Heads, ImageMemory
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.criterion import Criterion, Targets, Weights, Whole
from pathsegmentor.train.losses import assign, bce, choice, dice, matching_cost, pair_bce, pair_dice
from tests.train.tiny import TINY

B, P, Q, M, D, T, SIDE, BLOCK = 2, 3, 4, 5, 32, 6, 4, 4


@dataclass
class Case:
    net: PathSegmentorNet
    memory: ImageMemory
    decoded: Decoded
    prompts: Tensor
    real: Tensor
    targets: Targets
    places: Tensor

    def loss(self, weights: Weights | None = None, **changes: Any) -> dict[str, Tensor]:
        case = replace(self, **changes)
        return Criterion(weights or Weights())(
            case.net, case.memory, case.decoded, (case.prompts, case.real), case.targets, case.places
        )


@pytest.fixture
def case() -> Case:
    torch.manual_seed(0)
    net = PathSegmentorNet(TINY).double().eval()
    assert net.presence is not None

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    first = Heads(random(B, 1, Q, D).requires_grad_(), random(B, 1, Q, M).requires_grad_())
    middle = Heads(random(B, P, Q, D).requires_grad_(), random(B, P, Q, M).requires_grad_())
    last = Heads(random(B, P, Q, D).requires_grad_(), random(B, P, Q, M).requires_grad_())
    features = random(B, M, SIDE, SIDE).requires_grad_()
    keys, values = net.presence.remember(random(B, 320, 2, 2))
    evidence = keys.detach(), values.detach()
    memory = ImageMemory([], [], [], features, random(B, Q, D), first, evidence)
    coarse = torch.rand(B, P, SIDE, SIDE) < 0.4
    coarse[:, :, 0, 0] = True
    coarse[:, 1] = False  # the second prompt's object is absent
    known = torch.ones(B, P, SIDE, SIDE, dtype=torch.bool)
    known[:, 2, 2:] = False  # nothing is known about the lower half for the third
    targets = Targets.of(*(x.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3) for x in (coarse, known)))
    centres = (torch.arange(SIDE) + 0.5) / SIDE
    places = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1).reshape(1, -1, 2)
    real = torch.ones(B, P, T, dtype=torch.bool)
    decoded = Decoded([first, middle, last], random(B, P, T, D))
    return Case(net, memory, decoded, random(B, P, D), real, targets, places.expand(B, -1, -1).double())


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain_bce(logits: list[float], labels: list[float]) -> float:
    terms = [
        -(y * math.log(sigmoid(x)) + (1 - y) * math.log(1 - sigmoid(x))) for x, y in zip(logits, labels, strict=True)
    ]
    return sum(terms) / len(terms)


def plain_dice(logits: list[float], labels: list[float]) -> float:
    p = [sigmoid(x) for x in logits]
    overlap = sum(a * y for a, y in zip(p, labels, strict=True))
    return 1 - (2 * overlap + 1) / (sum(p) + sum(labels) + 1)


def similarities(case: Case, heads: Heads, b: int, p: int) -> list[float]:
    """Scaled cosine of every query with prompt p."""
    classes = heads.classes[b, p if heads.classes.shape[1] > 1 else 0]
    t, scale = case.prompts[b, p], math.exp(case.net.logit_scale.item())
    return [scale * (v @ t).item() / (v.norm().item() * t.norm().item()) for v in classes]


def plain_terms(case: Case, weights: Weights) -> dict[str, float]:
    """The whole loss in loops over images, predictions, prompts, queries and pixels."""
    sums = dict.fromkeys(("bce", "dice", "choice", "presence"), 0.0)
    present = int(case.targets.present.sum())
    for depth, heads in enumerate(case.decoded.predictions):
        is_last = depth == len(case.decoded.predictions) - 1
        factor = 1.0 if is_last else weights.deep
        for b in range(B):
            for p in range(P):
                masks = heads.masks[b, p if heads.masks.shape[1] > 1 else 0]
                maps = torch.einsum("qm,mhw->qhw", masks, case.memory.mask_features[b])
                label, known = case.targets.masks[b, p], case.targets.known[b, p]
                small, sure = label[::BLOCK, ::BLOCK].double(), known[::BLOCK, ::BLOCK]
                cosines = similarities(case, heads, b, p)
                shares = np.exp(cosines) / np.exp(cosines).sum()
                there = bool(case.targets.present[b, p])
                if there:
                    costs = []
                    for q in range(Q):
                        # Unknown pixels agree with every query: next to no loss, no overlap.
                        x = torch.where(sure, maps[q], torch.tensor(-20.0)).flatten().tolist()
                        y = (small * sure).flatten().tolist()
                        costs.append(5 * plain_bce(x, y) + 5 * plain_dice(x, y) - 2 * shares[q])
                    query = int(np.argmin(costs))
                else:
                    query = int(np.argmax(cosines))
                found = maps[query]
                if is_last:
                    size = label.shape
                    found = F.interpolate(found[None, None], size=size, mode="bilinear")[0, 0]
                    truth, where = label.double(), known
                else:
                    truth, where = small, sure
                x, y = found[where].tolist(), truth[where].tolist()
                sums["bce"] += factor * plain_bce(x, y) * (1.0 if there else weights.empty) / (B * P)
                if there:
                    sums["dice"] += factor * plain_dice(x, y) / present
                    sums["choice"] += factor * -math.log(shares[query]) / present
    seen = case.net.presence_logits(case.memory, case.decoded, case.prompts, case.real)
    assert seen is not None
    sums["presence"] = plain_bce(seen.flatten().tolist(), case.targets.present.flatten().double().tolist())
    sums["total"] = sum(getattr(weights, name) * value for name, value in sums.items())
    return sums


@pytest.mark.parametrize(
    "weights",
    [
        Weights(),
        Weights(bce=2, dice=0, choice=0, deep=1, presence=0, empty=1),
        Weights(bce=0, dice=3, choice=0, deep=0, presence=0),
        Weights(bce=0, dice=0, choice=1, deep=0.25, presence=2, empty=0),
    ],
)
def test_every_term_as_in_plain_arithmetic(case: Case, weights: Weights) -> None:
    found, expected = case.loss(weights), plain_terms(case, weights)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-5), name


def best_query(case: Case) -> Case:
    """The last prediction's query 2 draws prompt 0's object of image 0; by its words query 0 would be chosen."""
    features = torch.full((B, M, SIDE, SIDE), -1.0, dtype=torch.float64)
    features[0][:, case.targets.masks[0, 0, ::BLOCK, ::BLOCK]] = 1.0
    masks = torch.full((B, P, Q, M), -1.0, dtype=torch.float64)
    masks[0, 0, 2] = 1.0
    classes = case.decoded.predictions[-1].classes.detach().clone()
    # Not quite along the prompt, where a cosine is flat.
    classes[0, 0] = -case.prompts[0, 0] + 0.1 * classes[0, 0]
    classes[0, 0, 0] = case.prompts[0, 0] + 0.1 * classes[0, 0, 0]
    last = Heads(classes.requires_grad_(), masks.requires_grad_())
    return replace(
        case,
        memory=replace(case.memory, mask_features=features.requires_grad_()),
        decoded=Decoded([*case.decoded.predictions[:-1], last], case.decoded.words),
    )


def test_the_query_that_draws_the_object_is_taught_to_be_chosen(case: Case) -> None:
    case = best_query(case)
    last = case.decoded.predictions[-1]
    case.loss(Weights(bce=0, dice=0, choice=1, deep=0, presence=0))["total"].backward()
    assert last.classes.grad is not None
    toward = -(last.classes.grad[0, 0] * case.prompts[0, 0]).sum(dim=-1)
    assert toward[2] > 0 and toward[0] < 0


def test_only_the_matched_query_is_taught_the_mask(case: Case) -> None:
    case = best_query(case)
    last = case.decoded.predictions[-1]
    case.loss(Weights(deep=0, choice=0))["total"].backward()
    assert last.masks.grad is not None
    taught = last.masks.grad[0, 0].abs().sum(dim=-1) > 0
    assert taught.tolist() == [False, False, True, False]


def test_absent_prompts_are_taught_an_empty_mask_but_no_dice(case: Case) -> None:
    last = case.decoded.predictions[-1]
    case.loss(Weights(bce=0, choice=0, presence=0))["total"].backward()
    assert last.masks.grad is not None
    assert last.masks.grad[:, 1].abs().sum() == 0 and last.masks.grad[:, 0].abs().sum() > 0
    last.masks.grad = None
    case.loss(Weights(dice=0, choice=0, presence=0, empty=1))["total"].backward()
    assert last.masks.grad[:, 1].abs().sum() > 0


def test_unknown_pixels_change_nothing(case: Case) -> None:
    other = case.targets.masks.clone()
    other[:, 2, 2 * BLOCK :] = ~other[:, 2, 2 * BLOCK :]
    assert (other != case.targets.masks).any()
    changed = case.loss(targets=Targets.of(other, case.targets.known))
    for name, value in case.loss().items():
        assert changed[name].item() == pytest.approx(value.item(), rel=1e-9)


def test_an_object_seen_only_in_unknown_pixels_is_not_present() -> None:
    masks = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    masks[0, :, 0, 0] = True
    known = torch.ones_like(masks)
    known[0, 1, 0, 0] = False
    assert Targets.of(masks, known).present.tolist() == [[True, False]]


def test_presence_is_taught_what_is_there(case: Case) -> None:
    """Only the presence term: its gradient raises present prompts' logits and lowers absent ones'."""
    assert case.net.presence is not None
    bias = case.net.presence.judge[-1].bias
    for present, rises in ((True, True), (False, False)):
        bias.grad = None
        targets = case.targets._replace(present=torch.full((B, P), present))
        case.loss(Weights(bce=0, dice=0, choice=0, presence=1), targets=targets)["total"].backward()
        assert (bias.grad.item() < 0) is rises


def test_parts_of_a_step_add_up_to_the_whole(case: Case) -> None:
    whole = case.loss()
    parts = []
    for b in range(B):
        memory = replace(
            case.memory,
            mask_features=case.memory.mask_features[b : b + 1],
            evidence=tuple(x[b : b + 1] for x in case.memory.evidence or ()),  # type: ignore[arg-type]
        )
        heads = [Heads(h.classes[b : b + 1], h.masks[b : b + 1]) for h in case.decoded.predictions]
        parts.append(
            Criterion(Weights())(
                case.net,
                memory,
                Decoded(heads, case.decoded.words[b : b + 1]),
                (case.prompts[b : b + 1], case.real[b : b + 1]),
                Targets(*(x[b : b + 1] for x in case.targets)),
                case.places[b : b + 1],
                Whole.of(case.targets),
            )
        )
    for name, value in whole.items():
        assert sum(part[name].item() for part in parts) == pytest.approx(value.item(), rel=1e-9)


def test_a_batch_without_any_object_has_a_finite_loss(case: Case) -> None:
    nothing = Targets.of(torch.zeros_like(case.targets.masks), case.targets.known)
    found = case.loss(targets=nothing)
    assert found["dice"].item() == 0 and found["choice"].item() == 0
    assert found["bce"].item() > 0 and math.isfinite(found["total"].item())


def test_every_part_of_a_network_gets_a_gradient_from_its_term() -> None:
    """Switching a term off must not silently switch off others; each term alone reaches what it should teach."""
    torch.manual_seed(1)
    net = PathSegmentorNet(TINY).train()
    ids = torch.randint(2, 500, (P, T))
    real = torch.ones(P, T, dtype=torch.bool)
    masks = torch.rand(B, P, 64, 64) < 0.5
    targets = Targets.of(masks, torch.ones_like(masks))
    reached = {}
    for term in ("bce", "dice", "choice", "presence"):
        net.zero_grad()
        tokens, features = net.text_encoder(ids, real)
        memory = net.encode(net.normalise(torch.randint(0, 255, (B, 3, 64, 64))))
        words = tokens.expand(B, -1, -1, -1)
        decoded = net.joint_decoder(memory, words, real.expand(B, -1, -1))
        only = Weights(**dict.fromkeys(("bce", "dice", "choice", "presence"), 0.0) | {term: 1.0})
        inputs = (features.expand(B, -1, -1), real.expand(B, -1, -1))
        Criterion(only)(net, memory, decoded, inputs, targets, torch.rand(B, 50, 2))["total"].backward()
        reached[term] = {n.split(".")[0] for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    everywhere = {"image_tower", "pixel_decoder", "text_encoder", "joint_decoder"}
    assert everywhere <= reached["bce"] & reached["dice"] & reached["choice"]
    assert "logit_scale" in reached["choice"] and "presence" in reached["presence"]
    assert "presence" not in reached["bce"] | reached["dice"] | reached["choice"]


LOGITS, LABELS = [[2.0, -1.0, 0.5], [-3.0, 4.0, 0.0]], [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]


def test_bce_and_dice_as_in_plain_arithmetic() -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    for found, plain in ((bce, plain_bce), (dice, plain_dice)):
        expected = [plain(x, y) for x, y in zip(LOGITS, LABELS, strict=True)]
        assert found(logits, labels).tolist() == pytest.approx(expected, rel=1e-5)
    for pairs, plain in ((pair_bce, plain_bce), (pair_dice, plain_dice)):
        expected = [plain(x, y) for x in LOGITS for y in LABELS]
        assert pairs(logits, labels).flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_choice_is_cross_entropy_over_queries() -> None:
    similarity = torch.tensor([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]])  # (Q, N)
    found = choice(similarity, torch.tensor([1, 0]))
    expected = [-math.log(math.exp(2) / (math.e + math.exp(2) + 1)), -math.log(1 / (1 + math.exp(-1) + math.exp(3)))]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_matching_cost_and_the_cheapest_assignment() -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    similarity = torch.tensor([[0.3, 1.0], [-0.7, 2.0]])
    cost = matching_cost(logits, labels, similarity)
    for q in range(2):
        for n in range(2):
            share = math.exp(similarity[q, n]) / sum(math.exp(similarity[k, n]) for k in range(2))
            expected = 5 * plain_bce(LOGITS[q], LABELS[n]) + 5 * plain_dice(LOGITS[q], LABELS[n]) - 2 * share
            assert cost[q, n].item() == pytest.approx(expected, rel=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = torch.from_numpy(rng.normal(size=(5, 3)))
        queries, prompts = assign(table)
        cheapest = min(sum(table[q, n].item() for n, q in enumerate(order)) for order in permutations(range(5), 3))
        assert table[queries, prompts].sum().item() == pytest.approx(cheapest)


def test_a_cost_that_is_not_a_number_is_never_chosen_and_stops_nothing() -> None:
    queries, _ = assign(torch.tensor([[float("nan")], [5.0], [float("inf")]]))
    assert queries.tolist() == [1]
