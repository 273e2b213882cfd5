"""``pathsegmentor doctor``: is everything here and does it work?"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from PIL import Image

from pathsegmentor import __version__
from pathsegmentor.cli.models import describe
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import PathSegError
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.imaging import read_picture
from pathsegmentor.model.find import bundled
from pathsegmentor.segment import Segmenter

PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "shapely",
    "tokenizers",
    "transformers",
    "openslide-python",
    "zarr",
    "wsidicom",
)
# The bundled model must find most of the glands in the bundled picture; far below what it really reaches.
LEAST_DICE = 0.7


def run(as_json: bool) -> None:
    """Check and tell; exit code 1 if something does not work."""
    checks = [*_environment(), *_devices(), *_models(), _self_test()]
    good = all(check["ok"] for check in checks)
    if as_json:
        tell_json({"ok": good, "checks": checks})
    else:
        rows = [(c["check"], "ok" if c["ok"] else "FAILED", c["detail"]) for c in checks]
        tell_table("pathsegmentor doctor", ("check", "state", "detail"), rows)
    if not good:
        sys.exit(1)


def _check(name: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"check": name, "ok": ok, "detail": detail}


def _environment() -> list[dict[str, Any]]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        _check("pathsegmentor", True, __version__),
        _check("python", sys.version_info >= (3, 11), python),
        _check("packages", True, ", ".join(found)),
    ]


def _devices() -> list[dict[str, Any]]:
    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [_check("devices", True, ", ".join(devices))]


def _models() -> list[dict[str, Any]]:
    checks = []
    for name, folder in bundled().items():
        try:
            about = describe(name, folder)
            detail = f"{about['labels']} labels, {about['bytes'] / 1e6:.1f} MB, {about['weights_sha256'][:12]}"
            checks.append(_check(f"model {name}", True, detail))
        except PathSegError as error:
            checks.append(_check(f"model {name}", False, str(error)))
    return checks or [_check("models", False, "no model is bundled; reinstall pathsegmentor")]


def _self_test() -> dict[str, Any]:
    """Segment a small real image whose mask is known."""
    folder = files("pathsegmentor") / "selftest"
    try:
        with as_file(folder / "colon.jpg") as image, as_file(folder / "colon_mask.png") as mask:
            truth = np.asarray(Image.open(mask)).astype(bool)
            segmenter = Segmenter.from_pretrained("nano")
            result = segmenter.segment(segmenter.encode_image(read_picture(image, 1.0)), "glands in colon")
        score = dice(result.founds[0].mask, truth)
    except (PathSegError, OSError) as error:
        return _check("self-test mask", False, str(error))
    return _check("self-test mask", score >= LEAST_DICE, f"glands in colon, Dice {score:.3f}")
