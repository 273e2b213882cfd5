"""What a fine-tuned model's folder says of itself: card, provenance, further words, hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import whole_file
from pathsegmentor.model.folder import CARD, PROVENANCE, WORDS, read_vocabulary, write_sums

NOT_MEASURED = "Nothing is measured: no held-out image that could be scored shows a learnt label.\n"


def describe_learnt(folder: Path, base: Path, provenance: Mapping[str, Any], words: Mapping[str, list[str]]) -> None:
    """Write card, ``provenance.json`` and, with what the ``base`` has, ``words.json``; then all hashes anew."""
    own = {label: list(phrases) for label, phrases in read_vocabulary(base).words.items()}
    for label, phrases in words.items():
        own[label] = list(dict.fromkeys([*own.get(label, []), *phrases]))
    texts = {PROVENANCE: json.dumps(provenance, indent=1, ensure_ascii=False) + "\n", CARD: card(base, provenance)}
    if own:
        texts[WORDS] = json.dumps(own, indent=1, ensure_ascii=False) + "\n"
    for name, text in texts.items():
        with whole_file(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")
    write_sums(folder)


def card(base: Path, provenance: Mapping[str, Any]) -> str:
    """A model card with the base's licence, for its weights are what this one was made of."""
    licence = _licence(base / CARD)
    rows = "\n".join(
        f"| {row['label']} | {row['images']} | {'-' if row['before'] is None else row['before']} | {row['after']} |"
        for row in provenance["held_out"]
    )
    measured = (
        f"| label | held-out images | Dice before | after |\n|---|---|---|---|\n{rows}\n" if rows else NOT_MEASURED
    )
    return (
        f"---\nlicense: {licence}\nlibrary_name: pathsegmentor\npipeline_tag: image-segmentation\n---\n"
        f"# Fine-tuned from {provenance['base']}\n\n"
        f"Learnt {', '.join(provenance['labels'])} ({provenance['learnt']}, {provenance['steps']} steps) beside the"
        f" labels of {provenance['base']}. **Research use only.** The licence is that of the base model; "
        "that of the images comes on top of it.\n\n"
        f"{measured}\n"
        f"Base weights have the SHA-256 {provenance['base_weights_sha256']}, the data's manifest "
        f"{provenance['manifest_sha256']}; the command and all settings are in `{PROVENANCE}`.\n"
    )


def _licence(path: Path) -> str:
    """The ``license`` line of a card's front matter, or ``other``."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines[:20] if line.startswith("license:")), "other")
