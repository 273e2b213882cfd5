"""Which labels are asked of an image: those its annotation has, and those that are known to be absent from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from pathsegmentor.data.manifest import Row
from pathsegmentor.data.pathseg import Entry
from pathsegmentor.evaluate.predictor import Predictor
from pathsegmentor.evaluate.samples import SampleRow
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.vocabulary import Label

PARTLY_OUTLINED = "only a part of what the image shows of this label is outlined"


@dataclass(frozen=True)
class Question:
    """A label to ask of an image; ``row`` is its triple in the manifest, None if it is absent.

    ``why_not`` says why it is not asked after all, "" if it is.
    """

    label: str
    row: Row | None
    looked_for: bool
    why_not: str = ""


def questions(entry: Entry, labels: Sequence[str], predictor: Predictor, settings: Settings) -> list[Question]:
    """Every triple of the image, in the manifest's order, then the absent labels of ``labels`` that can be asked."""
    asked = [
        Question(row.label, row, True, _why_not_scored(entry, row, settings) or predictor.why_not(row.label, row.mpp))
        for row in entry.rows
    ]
    # Boxes are made from the annotation: of what is absent there are none.
    if predictor.wants_boxes == "none":
        asked += _absent(entry, labels, predictor, settings)
    return asked


def _absent(entry: Entry, labels: Sequence[str], predictor: Predictor, settings: Settings) -> Iterator[Question]:
    for label in labels:
        looked_for = entry.outlined(label)
        wanted = settings.absent == "all" or (settings.absent == "looked-for" and looked_for)
        if wanted and entry.certainly_absent(label) and not predictor.why_not(label, entry.first.mpp):
            yield Question(label, None, looked_for)


def _why_not_scored(entry: Entry, row: Row, settings: Settings) -> str:
    whole = settings.unknown == "background" or entry.outlined(row.label)
    return "" if whole else PARTLY_OUTLINED


def unanswered(entry: Entry, question: Question, settings: Settings) -> SampleRow:
    """The row of a question before anything is known of its answer: passed over, for the question's reason."""
    first, label = entry.first, Label.from_id(question.label)
    return SampleRow(
        image=first.image,
        source=first.source,
        label=question.label,
        region=label.region,
        structure=label.structure,
        object_type=label.object_type,
        patient=first.patient,
        slide=first.slide,
        group=entry.group,
        split=settings.split,
        mpp=sqrt(first.mpp[0] * first.mpp[1]),
        height=first.height,
        width=first.width,
        state="passed over",
        present=question.row is not None,
        looked_for=question.looked_for,
        reason=question.why_not,
    )
