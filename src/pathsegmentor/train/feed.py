"""Batches drawn ahead of time, in a thread or in processes, while the present one is learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, get_worker_info

from pathsegmentor.train.batches import Batch, Sampler


@dataclass(frozen=True)
class Share:
    """Which parts of every step belong to one of ``processes`` that each take a step in ``accumulate`` parts."""

    process: int = 0
    processes: int = 1
    accumulate: int = 1

    def of(self, sampler: Sampler, step: int) -> list[Batch]:
        """This process's parts of a step, none of them empty."""
        parts = self.processes * self.accumulate
        first = self.process * self.accumulate
        return [sampler.batch(step, part, parts) for part in range(first, first + self.accumulate)]


class Feed:
    """The parts of step after step; ``readers`` processes draw them, or a thread for 0."""

    def __init__(self, sampler: Sampler, share: Share, readers: int, steps: int) -> None:
        self._steps = _Steps(sampler, share, steps)
        self._readers = readers
        self._thread = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[list[Batch]]] | None = None
        self._process: tuple[int, Iterator[list[Batch]]] | None = None

    def step(self, step: int) -> list[Batch]:
        """This process's parts of a step, as the sampler itself gives them."""
        return self._from_processes(step) if self._readers else self._from_thread(step)

    def _from_thread(self, step: int) -> list[Batch]:
        ahead, future = self._next or (-1, None)
        if future is None or ahead != step:
            future = self._thread.submit(self._steps.__getitem__, step)
        self._next = (step + 1, self._thread.submit(self._steps.__getitem__, step + 1))
        return future.result()

    def _from_processes(self, step: int) -> list[Batch]:
        ahead, batches = self._process or (-1, None)
        if batches is None or ahead != step:
            batches = self._started(step)
        self._process = (step + 1, batches)
        return next(batches)

    def _started(self, step: int) -> Iterator[list[Batch]]:
        loader: DataLoader[Any] = DataLoader(
            self._steps,
            batch_size=None,
            sampler=range(step, self._steps.steps),
            num_workers=self._readers,
            prefetch_factor=2,
            collate_fn=_as_it_is,
            worker_init_fn=_divide_memory,
            # A process that forks while another thread holds a lock may wait for it forever.
            multiprocessing_context="spawn",
        )
        return iter(loader)

    def close(self) -> None:
        """End the thread or the processes."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._process = None


class _Steps(Dataset[list[Batch]]):
    """A run's steps as PyTorch's readers want them."""

    def __init__(self, sampler: Sampler, share: Share, steps: int) -> None:
        self.sampler, self.share, self.steps = sampler, share, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> list[Batch]:
        return self.share.of(self.sampler, step)


def _as_it_is(parts: list[Batch]) -> list[Batch]:
    return parts


def _divide_memory(number: int) -> None:
    """Reading processes share the memory that images may take."""
    info: Any = get_worker_info()
    info.dataset.sampler.held_bytes //= info.num_workers
