"""Tries broken inputs for a stated time under one rule: a result or a ``PathSegError``, in bounded time and memory.

Every case draws from a generator of its own, so one case can be tried again alone:
``FUZZ_SEED=... FUZZ_CASE=... pytest -m slow tests/fuzz -k SURFACE``. ``FUZZ_SECONDS`` sets the time per surface.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import secrets
import shutil
import sys
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from pathsegmentor.cli import main
from pathsegmentor.errors import PathSegError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "12"))
# Bounds of one case, wide enough for a busy machine: the inputs have some thousand bytes.
LONGEST = 20.0
MOST_MEMORY = 3 * 2**30
# Kinds of failure told at once; cases beyond a kind's first are only counted.
KINDS = 20
# Characters that change the direction of writing.
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

Case = Callable[[random.Random, Path], object]


def fuzz(surface: str, folder: Path, case: Case, least: int = 20) -> None:
    """Try cases of a surface, each in an empty folder, until the time is over; fail with every kind of failure.

    At least ``least`` cases must have run, some of them to a result and some to a refusal: a harness whose inputs
    are all refused at the door tests nothing.
    """
    seed = os.environ.get("FUZZ_SEED") or secrets.token_hex(4)
    only = os.environ.get("FUZZ_CASE")
    sys.stdout.write(f"{surface}: FUZZ_SEED={seed}\n")
    ends: Counter[str] = Counter()
    failures: dict[str, str] = {}
    number, until = int(only or 0), time.monotonic() + SECONDS
    with bounded_memory():
        while time.monotonic() < until and len(failures) < KINDS:
            end, failure = _tried(case, random.Random(f"{seed}-{surface}-{number}"), folder / "case")
            ends[end] += 1
            if failure:
                failures.setdefault(failure[0], f"FUZZ_SEED={seed} FUZZ_CASE={number}: {failure[1]}")
            if only is not None:
                break
            number += 1
    sys.stdout.write(f"{surface}: {dict(ends)}\n")
    assert not failures, f"{len(failures)} kinds of failure in {number} cases\n" + "\n".join(failures.values())
    if only is None and "FUZZ_SECONDS" not in os.environ:
        assert sum(ends.values()) >= least and ends["result"] and ends["refused"], ends


def _tried(case: Case, rng: random.Random, folder: Path) -> tuple[str, tuple[str, str] | None]:
    """How a case ended, and its kind of failure with the story."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started, before = time.monotonic(), _peak()
    try:
        case(rng, folder)
        end = "result"
    except PathSegError as error:
        end = "refused"
        if not str(error).strip() or any(unprinted(c) for c in str(error)):
            return "failed", ("message", f"a message that is no plain line: {error!r}")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        where = traceback.extract_tb(error.__traceback__)[-1]
        story = "".join(traceback.format_exception(error, limit=-6))
        return "failed", (f"{type(error).__name__} {where.filename}:{where.lineno}", story)
    took, grown = time.monotonic() - started, _peak() - before
    if took > LONGEST:
        return "failed", ("slow", f"took {took:.0f} s ({end})")
    if grown > MOST_MEMORY:
        return "failed", ("large", f"took {grown / 2**30:.1f} GiB of memory ({end})")
    return end, None


def unprinted(character: str) -> bool:
    """What a terminal would act on instead of showing it: control characters, and changes of direction."""
    return unicodedata.category(character) == "Cc" or character in TURNS


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let this process take some GiB more than it has, so that a bomb is a MemoryError and no dead machine."""
    before, pages = resource.getrlimit(resource.RLIMIT_AS), Path("/proc/self/statm")
    if not pages.exists():  # only Linux says how much address space is in use
        yield
        return
    held = int(pages.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 4 * MOST_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run(*arguments: object) -> str:
    """Run a command in this process; what it said, or ``PathSegError`` where it refused with exit code 1 or 2."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        patch.object(sys, "argv", ["pathsegmentor", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    said = out.getvalue() + err.getvalue()
    strange = sorted({c for c in said if unprinted(c) and c != "\n"})
    assert not strange, f"unprinted characters reach the terminal: {strange}"
    assert code in (0, 1, 2), f"exit code {code}"
    if code:
        lines = [line for line in err.getvalue().splitlines() if line.strip()]
        assert said.strip(), "refused without a word"
        assert code == 1 or len(lines) == 1, f"not one line but {len(lines)}: {lines[:5]}"
        raise PathSegError(said.splitlines()[-1])
    return said
