"""Work that is killed at one of the steps it makes on the disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection


def killed_at(step: int, steps: Collection[str], work: Callable[[], object]) -> bool:
    """Work in a process that is killed before its ``step``-th event of these; False if it came to its end."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in steps:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
