"""Work on several tiles at a time: in order, bounded, and the same numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from pathsegmentor.segment.side_by_side import side_by_side


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_however_long_each_takes(three_threads: None) -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number * number

    assert list(side_by_side(work, range(9))) == [n * n for n in range(9)]
    assert list(side_by_side(work, [])) == []


def test_several_work_at_once_and_only_few_results_wait(three_threads: None) -> None:
    meeting, begun = threading.Barrier(3, timeout=20), []

    def work(number: int) -> int:
        begun.append(number)
        if number < 3:
            meeting.wait()  # passes only if three are here at once
        return number

    results = side_by_side(work, range(20))
    assert next(results) == 0
    assert len(begun) <= 4
    assert list(results) == list(range(1, 20))


def test_each_has_its_share_of_the_threads_and_all_come_back(three_threads: None) -> None:
    assert list(side_by_side(lambda _: torch.get_num_threads(), range(5))) == [1] * 5
    assert list(side_by_side(lambda _: torch.get_num_threads(), [0])) == [3]
    assert torch.get_num_threads() == 3


def test_a_fault_or_an_early_end_stops_the_rest_and_gives_the_threads_back(three_threads: None) -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        return number

    with pytest.raises(ValueError, match="one"):
        list(side_by_side(work, range(50)))
    assert len(begun) < 10 and torch.get_num_threads() == 3
    results = side_by_side(lambda n: n, range(50))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == 3
