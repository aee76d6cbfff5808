"""Tasks done by a pool of processes on one machine, even if some of the processes die.

A task whose process dies ends the whole pool. The tasks under way are then done again, each in a
process of its own, which tells the task that kills its process from the tasks beside it.
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
"""Number of tasks handed over for each process, so that no process waits for its next task."""
_NONE = object()
MOST_DEATHS = 3
"""Number of tasks whose processes die before any task is done, from which the tasks are not to
blame."""


class Died:
    """Mark in the place of a result: the process of a task died, and again when repeated."""


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
        Function that can be imported from a module, as can everything that the tasks hold.
    tasks
        Tasks, each taken from the iterable when it is needed.
    workers
        Number of processes.

    Yields
    ------
    task, result
        Tasks with their results, as they are done. Errors of the function are raised here.

    Raises
    ------
    DataError
        If processes die whatever their task.
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
    """Stop where processes die whatever their task.

    Raises
    ------
    DataError
        If `MOST_DEATHS` processes died, and no task was ever done.
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
    """Give a pool tasks; return in a list the task that a broken pool did not take, if any."""
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
    """Prepare a process of a pool: one thread, and an end together with the pool."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    end_with_parent()
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # e.g. imported by the script that started the pool
        sys.modules["torch"].set_num_threads(1)
