"""The shape of the package: parts import only what stands above them, and importing it is cheap."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pathsegmentor

PACKAGE = Path(pathsegmentor.__file__).parent
# In the order data flows; a part imports itself and the parts before it.
PARTS = (
    "vocabulary",
    "imaging",
    "model",
    "segment",
    "data",
    "train",
    "evaluate",
    "slide",
    "export",
    "diagnose",
    "language",
    "serve",
    "cli",
)
# For everyone; they import nothing of ours but each other.
SHARED = ("errors", "atomic")
HEAVY = ("torch", "numpy", "cv2", "PIL", "rich")


def own_imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Dotted names below the package that a module imports, at any depth, TYPE_CHECKING included."""
    home = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] == "pathsegmentor")


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of a later part, or of a part by a shared module, as ``importer -> imported``."""
    part = module.split(".")[1]
    allowed = {*SHARED, "__version__"}
    if part in PARTS:
        allowed |= set(PARTS[: PARTS.index(part) + 1])
    found = []
    for name in own_imports(source, module, is_package):
        target = name.split(".")[1] if "." in name else "(the package itself)"
        if target not in allowed:
            found.append(f"{module} -> {name}")
    return found


def modules() -> list[Path]:
    """All modules that belong to a part or are shared."""
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in ("__init__.py", "__main__.py")
    )


def dotted(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_no_module_imports_a_later_part() -> None:
    wrong = [
        line
        for path in modules()
        for line in wrong_imports(path.read_text(encoding="utf-8"), dotted(path), path.name == "__init__.py")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_belongs_to_a_named_part() -> None:
    tops = {dotted(path).split(".")[1] for path in modules()}
    assert tops <= {*PARTS, *SHARED}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pathsegmentor.vocabulary.label", "import pathsegmentor.model.network"),
        ("pathsegmentor.vocabulary.label", "from pathsegmentor.imaging import Picture"),
        ("pathsegmentor.imaging.read", "from pathsegmentor import segment"),
        ("pathsegmentor.imaging.read", "from ..segment import Segmenter"),
        ("pathsegmentor.model.folder", "def late():\n    from pathsegmentor.cli import main"),
        ("pathsegmentor.data.build", "if TYPE_CHECKING:\n    from pathsegmentor.train.loop import Run"),
        ("pathsegmentor.segment.result", "from pathsegmentor import Segmenter"),
        ("pathsegmentor.errors", "from pathsegmentor.vocabulary import Label"),
    ],
)
def test_a_planted_wrong_import_is_caught(module: str, source: str) -> None:
    assert len(wrong_imports(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pathsegmentor.segment.segmenter", "from pathsegmentor.model.find import find_model"),
        ("pathsegmentor.segment.segmenter", "from .result import Result"),
        ("pathsegmentor.segment.segmenter", "from pathsegmentor import __version__"),
        ("pathsegmentor.vocabulary.label", "from pathsegmentor.errors import BadInput"),
        ("pathsegmentor.vocabulary.label", "import re, numpy.typing"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert wrong_imports(source, module) == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import pathsegmentor, json, sys; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    assert json.loads(in_fresh_python(code)) == []


def test_importing_the_package_takes_under_half_a_second() -> None:
    """Best of five: a busy machine slows some starts, hardly all of them."""
    code = "import time; t = time.perf_counter(); import pathsegmentor; print(time.perf_counter() - t)"
    assert min(float(in_fresh_python(code)) for _ in range(5)) < 0.5


def test_help_of_the_command_line_loads_no_torch() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['pathsegmentor', '--help']\n"
        "try:\n"
        "    runpy.run_module('pathsegmentor', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    assert "segment" in in_fresh_python(code)
