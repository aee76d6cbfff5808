"""Tasks done by other processes, whatever becomes of these: a pool on one machine.

A task whose process dies takes the pool with it. Those that were under way are then done again, one
by one in a process of their own, which tells the task that kills its process from those beside it.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar, cast

from lenspinn.child_process import end_with_parent
from lenspinn.errors import DataError

__all__ = ["Died", "check_deaths", "in_processes", "in_this_process"]

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""Tasks for each process that are handed over, so that none waits for the next."""
_NONE = object()
MOST_DEATHS = 3
"""Tasks whose processes die before any is done: then it is not because of the tasks."""


class Died:
    """In the place of a result: the process of a task died, and died again when it was repeated."""


def in_this_process(
    function: Callable[[Task], Result], tasks: Iterable[Task]
) -> Iterator[tuple[Task, Result | Died]]:
    """Do tasks one after the other, here."""
    for task in tasks:
        yield task, function(task)


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Iterator[tuple[Task, Result | Died]]:
    """Do tasks in processes of one thread each.

    Parameters
    ----------
    function
        Importable from a module, as is all that the tasks hold.
    tasks
        They are asked for as they are needed.
    workers
        Processes.

    Yields
    ------
    task, result
        As they are done. What a function raises is raised here.

    Raises
    ------
    DataError
        If processes die whatever they do.
    """
    left, running = iter(tasks), dict[Future[Result], Task]()
    deaths, done_any = 0, False
    pool = _pool(workers)
    try:
        while True:
            suspects = _hand_over(pool, function, left, running, AHEAD * workers)
            if not running and not suspects:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                task = running.pop(future)
                try:
                    result = future.result()
                except BrokenExecutor:
                    suspects.append(task)
                    continue
                done_any = True
                yield task, result
            if not suspects:
                continue
            suspects += running.values()
            running.clear()
            pool.shutdown(wait=True)
            for task in suspects:
                again = _alone(function, task)
                deaths += isinstance(again, Died)
                done_any |= not isinstance(again, Died)
                check_deaths(deaths, done_any)
                yield task, again
            pool = _pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_deaths(deaths: int, done_any: bool) -> None:
    """Stop where processes die whatever they do.

    Raises
    ------
    DataError
        If so many died, and nothing was ever done.
    """
    if deaths >= MOST_DEATHS and not done_any:
        raise DataError(
            f"the first {deaths} tasks each ended the process that worked on them: see whether "
            "there is enough memory for so many workers, and whether the command works on one of "
            "the images alone"
        )


def _hand_over(
    pool: ProcessPoolExecutor,
    function: Callable[[Task], Result],
    left: Iterator[Task],
    running: dict[Future[Result], Task],
    most: int,
) -> list[Task]:
    """Give a pool work, and return the task that it was too broken to take, if there is one."""
    while len(running) < most and (given := next(left, _NONE)) is not _NONE:
        task = cast(Task, given)
        try:
            running[pool.submit(function, task)] = task
        except BrokenExecutor:
            return [task]
    return []


def _pool(workers: int) -> ProcessPoolExecutor:
    spawn = get_context("spawn")  # a fork of a process with threads may hang
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin)


def _alone(function: Callable[[Task], Result], task: Task) -> Result | Died:
    with _pool(1) as pool:
        try:
            return pool.submit(function, task).result()
        except BrokenExecutor:
            return Died()


def _begin() -> None:
    """Make a process one of a pool: one thread, and an end with the pool."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    end_with_parent()
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # as where a script that began all this imports it
        sys.modules["torch"].set_num_threads(1)
