"""The specialists that `pathsegmentor baselines train` makes, or that a user brings in their original layout."""

from __future__ import annotations

from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.baselines.specialist import Network, load_specialist


def _baseline(name: str, title: str, networks: tuple[Network, ...], licence: str, url: str, *modules: str) -> Baseline:
    return Baseline(
        name,
        title,
        "specialist",
        lambda weights, device: load_specialist(name, networks, weights, device),
        f"what 'pathsegmentor baselines train configs/baselines/{name.replace('-', '_')}.yaml' wrote",
        licence,
        url,
        modules=modules,
        extra="pip install 'pathsegmentor[text]'" if modules else "",
    )


BASELINES = (
    _baseline("unet", "U-Net (Lite0)", ("unet_lite0",), "Apache-2.0", ""),
    _baseline(
        "deeplabv3plus",
        "DeepLabV3+",
        ("deeplabv3plus_resnet50", "deeplabv3plus_resnet101", "deeplabv3plus_lite0"),
        "MIT",
        "https://github.com/VainF/DeepLabV3Plus-Pytorch",
    ),
    _baseline(
        "sam-path",
        "SAM-Path",
        ("sam_path",),
        "no licence; HIPT's weights: Apache-2.0 with Commons Clause",
        "https://github.com/cvlab-stonybrook/SAMPath",
        "transformers",
    ),
    _baseline("nnunet", "nnU-Net", ("nnunet",), "Apache-2.0", "https://github.com/MIC-DKFZ/nnUNet"),
)
