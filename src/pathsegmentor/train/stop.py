"""A polite end: the first SIGTERM or SIGINT lets the present step finish, and its work is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Stopped(Exception):
    """The run was asked to stop by signal ``number`` and has saved step ``step``."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__(f"stopped after step {step}, all saved; go on with --resume")
        self.step, self.number = step, number


@dataclass
class Stop:
    """The signal that asked to stop, or 0."""

    number: int = 0

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.number != 0


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Remember the first signal instead of dying of it; the second one works as ever."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may change what signals do
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def remember(number: int, frame: FrameType | None) -> None:
        stop.number = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, remember)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
