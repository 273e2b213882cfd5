"""Names of the released BiomedParse-v1 weights in our network, both ways.

The layout has parts that words do not need (spatial prompts, the tower that is not in use); they are
kept aside so that a conversion there and back loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pathsegmentor.errors import BadModel
from pathsegmentor.model.foreign import shown

_HEAD = "sem_seg_head."
_LANG = f"{_HEAD}predictor.lang_encoder."

# Order matters: the first prefix that fits wins.
_PREFIXES = (
    ("backbone.", "image_tower."),
    (f"{_HEAD}pixel_decoder.", "pixel_decoder."),
    (f"{_LANG}lang_encoder.", "text_encoder.tower."),
    (f"{_LANG}lang_proj", "text_encoder.lang_proj"),
    (f"{_LANG}logit_scale", "logit_scale"),
    (f"{_HEAD}predictor.", "joint_decoder."),
)
_UNUSED = (
    "dilation_kernel",
    "criterion.",
    f"{_LANG}biomed_encoder.",
    f"{_HEAD}predictor.pn_indicator.",
    f"{_HEAD}predictor.mask_sptial_embed.",
    f"{_HEAD}predictor.spatial_embed.",
    f"{_HEAD}predictor.spatial_featured.",
)


def split_released(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Released names -> (tensors under our names, tensors that words do not need, under theirs).

    Raises ``BadModel`` for a name of no known part, and for two names of one tensor.
    """
    ours: dict[str, Tensor] = {}
    unused: dict[str, Tensor] = {}
    for name, tensor in state.items():
        name = name.removeprefix("model.")
        table, key = (unused, name) if name.startswith(_UNUSED) else (ours, _rename(name, _PREFIXES))
        if key in table:
            raise BadModel(f"{shown(name)} is there twice, with and without 'model.' before it")
        table[key] = tensor
    return ours, unused


def join_released(ours: Mapping[str, Tensor], unused: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``split_released``; raises ``BadModel`` for a model of another layout."""
    back = tuple((mine, theirs) for theirs, mine in _PREFIXES)
    released = {_rename(name, back): tensor for name, tensor in ours.items()}
    strange = [name for name in unused if name in released or not name.startswith(_UNUSED)]
    if strange:
        raise BadModel(f"{shown(strange[0])} is no tensor that words do not need")
    return released | dict(unused)


def _rename(name: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    for old, new in prefixes:
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise BadModel(f"{shown(name)} belongs to no part of a BiomedParse-v1 checkpoint")
