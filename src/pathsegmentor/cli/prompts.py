"""``pathsegmentor prompts``: labels, and what words mean."""

from __future__ import annotations

from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.vocabulary import Query, Vocabulary


def run(words: list[str] | None, model: str | None, as_json: bool) -> None:
    """List the labels or look the words up, in the paper's vocabulary or a model's."""
    vocabulary = Vocabulary.paper() if model is None else _of_model(model)
    if words:
        _tell_query(vocabulary.look_up(" ".join(words)), as_json)
    else:
        _tell_labels(vocabulary, as_json)


def _of_model(name: str) -> Vocabulary:
    from pathsegmentor.model.find import find_folder
    from pathsegmentor.model.folder import read_vocabulary

    _, folder = find_folder(name)
    return read_vocabulary(folder)


def _tell_labels(vocabulary: Vocabulary, as_json: bool) -> None:
    rows = [(label.id, label.prompt) for label in vocabulary]
    if as_json:
        tell_json([{"label": label, "prompt": prompt} for label, prompt in rows])
    else:
        tell_table(f"{len(rows)} labels", ("label", "prompt"), rows)


def _tell_query(query: Query, as_json: bool) -> None:
    if as_json:
        candidates = [{"label": c.label.id, "score": c.score, "reason": c.reason} for c in query.candidates]
        tell_json(
            {
                "words": query.words,
                "status": query.status,
                "candidates": candidates,
                "not_understood": list(query.not_understood),
            }
        )
        return
    title = f"'{query.words}': {query.status}"
    if query.status == "unknown":
        title += "; nearest labels"
    rows = [(c.label.id, f"{c.score:.2f}", c.reason) for c in query.candidates[:8]]
    tell_table(title, ("label", "score#", "reason"), rows)
