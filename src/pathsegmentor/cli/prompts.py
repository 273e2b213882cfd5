"""``pathsegmentor prompts``: labels, and what words mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.vocabulary import Candidate, Label, Part, Query, Vocabulary


def run(phrases: list[str] | None, model: str | None, as_json: bool) -> None:
    """List the labels or look each phrase up, in the paper's vocabulary or a model's."""
    vocabulary, prompt_of = _of_paper() if model is None else _of_model(model)
    if not phrases:
        _tell_labels([(label.id, prompt_of(label)) for label in vocabulary], as_json)
        return
    queries = [vocabulary.look_up(words) for words in phrases]
    if as_json:
        documents = [_query(query) for query in queries]
        tell_json(documents[0] if len(documents) == 1 else documents)
        return
    for query in queries:
        _tell_query(query)


def _of_paper() -> tuple[Vocabulary, Callable[[Label], str]]:
    return Vocabulary.paper(), lambda label: label.prompt


def _of_model(name: str) -> tuple[Vocabulary, Callable[[Label], str]]:
    """The labels a model knows, and by which words it is asked for each."""
    from pathsegmentor.model.find import find_folder
    from pathsegmentor.model.folder import read_config, read_vocabulary

    _, folder = find_folder(name)
    return read_vocabulary(folder), read_config(folder).prompt_of


def _tell_labels(rows: list[tuple[str, str]], as_json: bool) -> None:
    if as_json:
        tell_json([{"label": label, "prompt": prompt} for label, prompt in rows])
    else:
        tell_table(f"{len(rows)} labels", ("label", "prompt"), rows)


def _query(query: Query) -> dict[str, Any]:
    return {
        "words": query.words,
        "status": query.status,
        "candidates": [_candidate(c) for c in query.candidates],
        "not_understood": list(query.not_understood),
        "parts": [_part(part) for part in query.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "words": part.words,
        "status": part.status,
        "understood": None if part.status == "unknown" else part.meant.reason,
        "candidates": [_candidate(c) for c in part.candidates],
        "not_understood": [*part.not_understood, *part.no_label],
        "why": part.why,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {"label": candidate.label.id, "score": candidate.score, "reason": candidate.reason}


def _tell_query(query: Query) -> None:
    """A table for each thing asked for; what was not understood stands in its title."""
    for part in query.parts:
        title = f"'{part.words}': {part.status}"
        if len(query.parts) > 1:
            title = f"of '{query.words}', {title}"
        notes = [f"not understood: {', '.join(part.not_understood)}"] if part.not_understood else []
        notes += [f"no label for: {', '.join(part.no_label)}"] if part.no_label else []
        notes += [part.why] if part.why else []
        if part.status == "unknown":
            title = "; ".join([title, *notes, "nearest labels"])
        rows = [(c.label.id, f"{c.score:.2f}", c.reason) for c in (part.meant, *part.candidates[1:8])]
        tell_table(title, ("label", "score#", "reason"), rows)
