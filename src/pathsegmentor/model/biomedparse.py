"""Names of the released BiomedParse-v1 weights in our network, both ways.

The layout has parts that words do not need (spatial prompts, the tower that is not in use); they are
kept aside so that a conversion there and back loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pathsegmentor.errors import BadModel

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
    """Released names -> (tensors under our names, tensors that words do not need, under theirs)."""
    ours: dict[str, Tensor] = {}
    unused: dict[str, Tensor] = {}
    for name, tensor in state.items():
        name = name.removeprefix("model.")
        if name.startswith(_UNUSED):
            unused[name] = tensor
        else:
            ours[_rename(name, _PREFIXES)] = tensor
    return ours, unused


def join_released(ours: Mapping[str, Tensor], unused: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``split_released``."""
    back = tuple((mine, theirs) for theirs, mine in _PREFIXES)
    return {_rename(name, back): tensor for name, tensor in ours.items()} | dict(unused)


def _rename(name: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    for old, new in prefixes:
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise BadModel(f"'{name}' belongs to no part of a BiomedParse-v1 checkpoint")
