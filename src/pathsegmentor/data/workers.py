"""Do many independent pieces of work: here, in several processes, or on a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar

from pathsegmentor.errors import BadInput, PathSegError

T = TypeVar("T")
R = TypeVar("R")


def run(function: Callable[[T], R], work: Sequence[T], workers: int, ray: str = "") -> Iterator[R]:
    """Results as they come, in any order; never more than twice ``workers`` pieces are under way.

    ``ray`` is a cluster's address (``local`` starts one here); the first failure ends the run.
    """
    if workers < 1:
        raise BadInput(f"{workers} workers cannot do anything; give 1 or more")
    if ray:
        yield from _on_ray(function, work, ray)
    elif workers == 1 or len(work) < 2:
        yield from map(function, work)
    else:
        yield from _in_processes(function, work, workers)


def _in_processes(function: Callable[[T], R], work: Sequence[T], workers: int) -> Iterator[R]:
    # Forked children would inherit locks of threads that no longer run; spawned ones start clean.
    context = multiprocessing.get_context("spawn")
    waiting, running = deque(work), set[Future[R]]()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                running.add(pool.submit(function, waiting.popleft()))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise PathSegError("a worker process died (no memory left?); run the same command again to go on") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Set up a worker process."""
    import cv2

    # Processes share the cores already; threads inside them would only wait for each other.
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, however it comes: a killed one cannot tell its workers to go."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _on_ray(function: Callable[[T], R], work: Sequence[T], address: str) -> Iterator[R]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise PathSegError("a Ray cluster needs ray: pip install 'pathsegmentor[ray]'") from error
    try:
        ray.init(address=None if address == "local" else address, include_dashboard=False, log_to_driver=False)
    except Exception as error:  # ray raises many classes when no cluster answers
        raise BadInput(f"no Ray cluster at {address}: {' '.join(str(error).split())}") from error
    try:
        remote = ray.remote(function)
        most = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        waiting, running = deque(work), list[Any]()
        while waiting or running:
            while waiting and len(running) < most:
                running.append(remote.remote(waiting.popleft()))
            finished, running = ray.wait(running, num_returns=1)
            yield from ray.get(finished)
    finally:
        ray.shutdown()
