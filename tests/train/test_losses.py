"""Losses, matching and gradients reproduce the golden training case."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.losses import (
    assign,
    bce,
    choice,
    dice,
    matching_cost,
    pair_bce,
    pair_dice,
    sample_at,
)
from tests.model.reduced import MANIFEST, assert_close, golden, reduced_network

TRAINING = MANIFEST["training"]
PROMPTS: list[list[int]] = TRAINING["prompts_of_image"]
# Golden names of the released code -> ours.
OURS = (
    ("backbone.", "image_tower."),
    ("sem_seg_head.pixel_decoder.", "pixel_decoder."),
    ("sem_seg_head.predictor.lang_encoder.lang_encoder.", "text_encoder.tower."),
    ("sem_seg_head.predictor.lang_encoder.lang_proj", "text_encoder.lang_proj"),
    ("sem_seg_head.predictor.lang_encoder.logit_scale", "logit_scale"),
    ("sem_seg_head.predictor.", "joint_decoder."),
)


def test_points_as_released() -> None:
    want = golden("points")
    logits, targets = want["mask_logits"], want["targets"].float()
    points = want["points"]
    at_logits = sample_at(logits, points)[:, 0]
    at_targets = sample_at(targets, points)[:, 0]
    assert_close(at_logits, want["logits_at_points"], 1e-5)
    assert_close(at_targets, want["targets_at_points"], 1e-5)
    assert_close(sample_at(logits, want["edge_points"])[:, 0], want["logits_at_edge_points"], 1e-5)
    assert_close(bce(at_logits, at_targets).mean(), want["bce"], 1e-5)
    assert_close(dice(at_logits, at_targets).mean(), want["dice"], 1e-5)
    assert_close(pair_bce(at_logits, at_targets), want["matrix_bce"], 1e-5)
    assert_close(pair_dice(at_logits, at_targets), want["matrix_dice"], 1e-5)


def decoded_jointly(net: PathSegmentorNet, want: dict[str, torch.Tensor]) -> list[tuple[list, torch.Tensor, object]]:
    """Per image: predictions, prompt features (1, N, D) and memory."""
    ids, mask = want["training_points/input_ids"], want["training_points/attention_mask"].bool()
    out = []
    for i, prompts in enumerate(PROMPTS):
        tokens, features = net.text_encoder(ids[prompts], mask[prompts])
        memory = net.encode(want["training_points/images"][i : i + 1])
        flat, real = tokens[None].flatten(1, 2)[:, None], mask[prompts][None].flatten(1, 2)[:, None]
        decoded = net.joint_decoder(memory, flat, real)
        out.append((decoded.predictions, features[None], memory))
    return out


def check_gradients(net: PathSegmentorNet, want: dict[str, torch.Tensor], case: str) -> None:
    parameters = dict(net.named_parameters())
    seen = 0
    for key, expected in want.items():
        if not key.startswith(f"{case}/grad."):
            continue
        name = key.split("/grad.")[1]
        for theirs, mine in OURS:
            if name.startswith(theirs):
                name = mine + name.removeprefix(theirs)
                break
        gradient = parameters[name].grad
        assert gradient is not None, name
        assert_close(gradient, expected, 1e-6)
        seen += 1
    assert seen >= 18


def test_training_on_points() -> None:
    """The released recipe: Hungarian matching, losses at points on all five predictions, gradients."""
    net = reduced_network(torch.float64)
    want = golden("training", torch.float64)
    images = decoded_jointly(net, want)
    masks = [want[f"training_points/masks_image{i}"].double() for i in (0, 1)]
    matching, loss_points = want["training_points/points_matching"], want["training_points/points_loss"]
    total = torch.zeros((), dtype=torch.float64)
    names = MANIFEST["training"]["loss_values_per_output"]
    for depth in range(5):
        rows_logits, rows_labels, choices = [], [], []
        for i, (predictions, features, memory) in enumerate(images):
            heads = predictions[len(predictions) - 1 - depth]
            similarity = net.similarity(heads, features)[0, 0]
            every = torch.einsum("qm,mhw->qhw", heads.masks[0, 0], memory.mask_features[0])
            at_logits = sample_at(every[None], matching)[0]
            at_labels = sample_at(masks[i][None], matching)[0]
            queries, prompts = assign(matching_cost(at_logits, at_labels, similarity))
            expected = TRAINING["assignments"]["value"][depth][i]
            assert [queries.tolist(), prompts.tolist()] == expected
            rows_logits.append(every[queries])
            rows_labels.append(masks[i][prompts])
            target = torch.empty_like(prompts)
            target[prompts] = queries
            choices.append(choice(similarity, target).mean())
        points = loss_points
        logits = sample_at(torch.cat(rows_logits)[:, None], points)[:, 0]
        labels = sample_at(torch.cat(rows_labels)[:, None], points)[:, 0]
        terms = {
            "bce": bce(logits, labels).mean(),
            "dice": dice(logits, labels).mean(),
            "ce": 2 * torch.stack(choices).mean(),
        }
        for name, value in terms.items():
            assert value.item() == pytest.approx(names[f"loss_grounding_{name}_{depth}"], rel=1e-6)
        total = total + terms["bce"] + terms["dice"] + 0.4 * terms["ce"]
    assert total.item() == pytest.approx(TRAINING["total_points"], rel=1e-6)
    total.backward()
    check_gradients(net, want, "training_points")


def test_training_on_full_masks() -> None:
    """Equations 8-10 to the letter: last prediction, query by eq. 7, all pixels."""
    net = reduced_network(torch.float64)
    want = golden("training", torch.float64)
    found_bce, found_dice = [], []
    for i, (predictions, features, memory) in enumerate(decoded_jointly(net, want)):
        heads = predictions[-1]
        chosen = net.similarity(heads, features)[0, 0].argmax(dim=0)
        assert chosen.tolist() == TRAINING["chosen_query_full_masks"][i]
        logits = torch.einsum("qm,mhw->qhw", heads.masks[0, 0][chosen], memory.mask_features[0])
        full = F.interpolate(logits[None], size=(64, 96), mode="bilinear")[0].flatten(1)
        labels = want[f"training_points/masks_image{i}"].double().flatten(1)
        found_bce.append(bce(full, labels))
        found_dice.append(dice(full, labels))
    all_bce, all_dice = torch.cat(found_bce), torch.cat(found_dice)
    assert_close(all_bce, want["training_full_masks/bce"])
    assert_close(all_dice, want["training_full_masks/dice"])
    total = (all_bce + all_dice).mean()
    assert total.item() == pytest.approx(TRAINING["total_full_masks"], rel=1e-6)
    total.backward()
    check_gradients(net, want, "training_full_masks")
    # Equation 7 alone teaches neither the class embeddings nor their scale; hence the choice term.
    assert net.joint_decoder.class_embed.grad is None
    assert net.logit_scale.grad is None
