"""Released checkpoints that ``models pull`` knows by name: where they are, and which words they were taught."""

from __future__ import annotations

from dataclasses import dataclass, field

from pathsegmentor.model.config import ModelConfig
from pathsegmentor.vocabulary import Vocabulary


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in the released layout, in a Hub repository, and what makes a model of it.

    ``reads``: token ids that the right tokenizer gives for some words; with another one the weights read nonsense.
    """

    repo: str
    file: str
    tokenizer_repo: str
    tokenizer_file: str
    licence: str
    config: ModelConfig
    labels: tuple[str, ...]
    reads: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def card(self, commit: str, sha256: str) -> str:
        """The model card: where the weights are from, and under which licence."""
        return f"""---
license: {self.licence}
library_name: pathsegmentor
base_model: {self.repo}
---
# {self.repo}

Converted by `pathsegmentor models pull` from `{self.file}` of the Hub repository {self.repo}, commit {commit}
(SHA-256 {sha256}), with the tokenizer of {self.tokenizer_repo}. The licence is the checkpoint's.

Its labels are those of the paper's that the checkpoint was trained on; `prompts` in `config.json` has the words that
it was trained with. It has no presence head: it answers every prompt with some mask. Research use only.
"""


# What BiomedParse calls the objects of its two pathology sources, PanNuke and GlaS.
_TARGETS = {
    "nuclei-neoplastic": "neoplastic cells",
    "nuclei-inflammatory": "inflammatory cells",
    "nuclei-connective": "connective tissue cells",
    "nuclei-epithelial": "epithelial cells",
}
_GLAND = "colon-tissue-gland"


def _biomedparse_prompts() -> dict[str, str]:
    """Prompts by label, in the template of its training: target, site, modality."""
    prompts = {_GLAND: "glandular structure in colon pathology"}
    for label in Vocabulary.paper():
        target = _TARGETS.get(f"{label.structure}-{label.object_type}".lower())
        if target and label.region.lower() != "unspecified":
            prompts[label.id] = f"{target} in {label.region.lower()} pathology"
    return prompts


def _biomedparse() -> Checkpoint:
    prompts = _biomedparse_prompts()
    # Its training images were enlarged to 1024 pixels: tiles of PanNuke from 256, images of GlaS from about 775.
    config = ModelConfig(prompts=prompts, default_mpp=0.0625, mpp={_GLAND: 0.47})
    return Checkpoint(
        repo="microsoft/BiomedParse",
        file="biomedparse_v1.pt",
        tokenizer_repo="openai/clip-vit-base-patch32",
        tokenizer_file="tokenizer.json",
        licence="cc-by-nc-sa-4.0",
        config=config,
        labels=tuple(sorted(prompts)),
        reads={
            "neoplastic cells": (49406, 557, 36270, 1561, 8890, 49407),
            "inflammatory cells": (49406, 26831, 8890, 49407),
        },
    )


CHECKPOINTS = {"biomedparse-v1": _biomedparse}
