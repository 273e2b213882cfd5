"""nnU-Net's own environment: made by one command, found again, and asked by files and lines.

It cannot share ours: it brings torchvision, beside which, on a CPU build of torch, `transformers` loads no model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput, BadModel

PLACE, WANTED = "PATHSEGMENTOR_NNUNET", "nnunetv2==2.8.1"
WORK = Path(__file__).with_name("nnunet_work.py")
MARK = "pathsegmentor-complete"
CHECKPOINT = "checkpoint_final.pth"


def place() -> Path:
    """Where the environment is, or would be: ``PATHSEGMENTOR_NNUNET``, else the user's cache."""
    given = os.environ.get(PLACE, "")
    return Path(given) if given else Path.home() / ".cache" / "pathsegmentor" / "nnunet"


def python() -> Path:
    """The environment's interpreter; raises ``BadInput`` with the command that makes it."""
    folder = place()
    if not (folder / MARK).is_file():
        raise BadInput(
            f"nnU-Net's environment is not in {folder}; make it by: pathsegmentor baselines install nnunet"
            f" (2 GB), or set {PLACE} to where it is"
        )
    return _python(folder)


def install() -> Path:
    """Make the environment, with this environment's release of torch; one that is whole is left as it is."""
    folder = place()
    if (folder / MARK).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    release = torch.__version__.partition("+")[0]
    with tempfile.TemporaryDirectory() as beside:
        limits = Path(beside) / "constraints.txt"
        # A torch of another release would come with gigabytes for GPUs that may not be there.
        limits.write_text(f"torch=={release}\n", encoding="utf-8")
        pip = [str(_python(folder)), "-m", "pip", "install", "-q"]
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([*pip, "-U", "pip"])
        _run([*pip, "-c", str(limits), WANTED])
    with whole_file(folder / MARK) as mark:
        mark.write_text(f"{WANTED}\n", encoding="utf-8")
    return folder


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    if done.returncode:
        raise BadInput(f"{' '.join(command[:4])} failed: {last_line(done.stdout)}")


def last_line(text: str) -> str:
    """What a program said last."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]


def command(*arguments: str) -> list[str]:
    """Our script by nnU-Net's interpreter; ``-P``: its folder is no place to import from."""
    return [str(python()), "-P", str(WORK), *arguments]


def checkpoint_of(folder: Path) -> Path:
    """The one trained fold in nnU-Net's folder of a configuration; raises ``BadModel`` for none or several."""
    paths = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if len(paths) != 1:
        raise BadModel(f"{folder} holds {len(paths)} trained folds (fold_*/{CHECKPOINT}); one is needed")
    return paths[0]


class Worker:
    """A process that holds a trained nnU-Net: pixels (H, W, 3) in, probabilities (K, H, W) out.

    It starts with the first image. One lives at a time: a group has as many networks as sources.
    """

    _living: ClassVar[Worker | None] = None

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self._command = command("predict", str(folder.resolve()), device)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raises ``BadModel`` with nnU-Net's last words if it fails."""
        if Worker._living is not self:
            self._start()
        image, out = (str(self._place / name) for name in ("image.npy", "maps.npy"))
        np.save(image, pixels, allow_pickle=False)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # a dead process is told by what it no longer says
            print(json.dumps({"image": image, "out": out}), file=self._process.stdin, flush=True)
        self._listen()
        return np.asarray(np.load(out, allow_pickle=False), np.float32)

    def _start(self) -> None:
        if Worker._living is not None:
            Worker._living._stop()
        files = tempfile.TemporaryDirectory(prefix="pathsegmentor-nnunet-")
        self._place = Path(files.name)
        with (self._place / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"nnUNet_compile": "f"},
            )
        self._end = weakref.finalize(self, _end, self._process, files)
        Worker._living = self
        self._listen()

    def _stop(self) -> None:
        Worker._living = None
        self._end()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            said = last_line((self._place / "log.txt").read_text(errors="replace"))
            self._stop()
            raise BadModel(f"nnU-Net with {self.folder} ended: {said}")
        if error := json.loads(line).get("error"):
            raise BadModel(f"nnU-Net with {self.folder} failed: {' '.join(error.split())}")


def _end(process: subprocess.Popen[str], files: tempfile.TemporaryDirectory[str]) -> None:
    """Close the worker's input, which ends it, and remove its files."""
    with suppress(BrokenPipeError):
        process.communicate()
    files.cleanup()
