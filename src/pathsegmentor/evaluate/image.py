"""All rows of one image: read once, asked once, scored label by label; what fails is a row that says why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.pathseg import Entry
from pathsegmentor.data.shards import Shards
from pathsegmentor.errors import BadInput, PathSegError
from pathsegmentor.evaluate.boxes import instance_boxes, union_box
from pathsegmentor.evaluate.masks import write_mask
from pathsegmentor.evaluate.predictor import Asked, Predicted, Predictor, WantsBoxes
from pathsegmentor.evaluate.questions import Question, questions, unanswered
from pathsegmentor.evaluate.samples import SampleRow
from pathsegmentor.evaluate.score import check_answer, score
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.evaluate.truth import Truth, read_image, read_known, read_truth
from pathsegmentor.imaging import Picture


@dataclass(frozen=True)
class Context:
    """What is the same for all images: the set's shards and labels, the folder of the run, and how to score."""

    shards: Shards
    labels: tuple[str, ...]
    out: Path
    settings: Settings


@dataclass(frozen=True)
class _Answer:
    """What came of a question: an answer with its share of the seconds, or why there is none."""

    predicted: Predicted | None
    seconds: float = 0.0
    why: str = ""


def rows_of_image(entry: Entry, predictor: Predictor, context: Context) -> list[SampleRow]:
    """One row per question about the image, in the order of the questions.

    Whatever goes wrong with the image, one of its masks or an answer is the reason in the rows it concerns. Only a
    place that cannot be written ends the run.
    """
    settings = context.settings
    asked = questions(entry, context.labels, predictor, settings)
    rows = [unanswered(entry, question, settings) for question in asked]
    open_ones = [number for number, question in enumerate(asked) if not question.why_not]
    if not open_ones:
        return rows
    try:
        picture = read_image(context.shards, entry.first)
        known = read_known(context.shards, entry.first)
    except Exception as error:
        return [row if row.reason else _failed(row, error) for row in rows]
    if settings.unknown == "background":
        known = np.ones_like(known)
    truths: dict[int, Truth | None] = {}
    for number in open_ones:
        row = asked[number].row
        try:
            truths[number] = read_truth(context.shards, row) if row else None
        except Exception as error:
            rows[number] = _failed(rows[number], error)
    answers = _ask(predictor, picture, [_asked(asked[n], truth, predictor.wants_boxes) for n, truth in truths.items()])
    for (number, truth), answer in zip(truths.items(), answers, strict=True):
        rows[number] = _scored(rows[number], answer, truth, known, picture, context)
    return rows


def _asked(question: Question, truth: Truth | None, wants: WantsBoxes) -> Asked:
    if truth is None or wants == "none":
        return Asked(question.label)
    return Asked(question.label, union_box(truth.mask) if wants == "union" else instance_boxes(truth.mask))


def _ask(predictor: Predictor, picture: Picture, asked: Sequence[Asked]) -> list[_Answer]:
    """All labels at once; if that fails each alone, so that one label does not cost the others."""
    if not asked:
        return []
    started = time.perf_counter()
    try:
        answers = predictor.answer(picture, asked)
        if len(answers) != len(asked):
            raise BadInput(f"asked for {len(asked)} labels, the model gave {len(answers)} answers")
    except Exception as error:
        if len(asked) == 1:
            return [_Answer(None, why=_in_words(error))]
        return [answer for one in asked for answer in _ask(predictor, picture, [one])]
    seconds = (time.perf_counter() - started) / len(asked)
    return [_Answer(answer, seconds) for answer in answers]


def _scored(
    row: SampleRow,
    answer: _Answer,
    truth: Truth | None,
    known: NDArray[np.bool_],
    picture: Picture,
    context: Context,
) -> SampleRow:
    if answer.predicted is None:
        return replace(row, state="failed", reason=answer.why)
    assert picture.mpp is not None
    try:
        check_answer(answer.predicted, row.label, (picture.height, picture.width))
        row = score(row, answer.predicted, truth, known, picture.mpp, context.settings)
    except Exception as error:
        return _failed(row, error)
    if context.settings.masks and row.state == "scored":
        write_mask(context.out, row, answer.predicted.mask)
    return replace(row, seconds=answer.seconds)


def _failed(row: SampleRow, error: Exception) -> SampleRow:
    return replace(row, state="failed", reason=_in_words(error))


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PathSegError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
