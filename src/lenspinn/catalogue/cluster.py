"""Tasks done by the workers of a Dask cluster; the extra ``[dask]`` is imported here alone."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from lenspinn.errors import ConfigError, DataError
from lenspinn.worker_processes import Died, check_deaths

__all__ = ["connected", "on_cluster", "slurm_cluster"]

Task = TypeVar("Task")
Result = TypeVar("Result")

INSTALL = "pip install 'lenspinn[dask]'"
AHEAD = 4
"""Number of tasks that the scheduler holds for each worker."""
FEWEST_AHEAD = 64
"""Fewest tasks that the scheduler holds, while workers are still to come."""
PATIENCE = 10
"""Time that a scheduler has to answer, s."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler that runs.

    Parameters
    ----------
    address
        Such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    ConfigError
        The extra is not installed, no scheduler answers, or its workers have several threads.
    """
    distributed = _imported("distributed", "scheduler")
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address}: give the address that `dask scheduler` "
            "prints, such as tcp://10.0.0.1:8786"
        ) from error
    with client:
        several = [name for name, threads in client.nthreads().items() if threads > 1]
        if several:
            raise ConfigError(
                f"{len(several)} workers of {address} have several threads, which get in each "
                "other's way: start them with `dask worker ADDRESS --nthreads 1 --nworkers N`"
            )
        yield client


@contextmanager
def slurm_cluster(jobs: int) -> Iterator[Any]:
    """Yield a client of a cluster that submits its workers to SLURM, and takes them back.

    Parameters
    ----------
    jobs
        Number of jobs that are submitted; the configuration of dask-jobqueue says what each asks
        for.

    Raises
    ------
    ConfigError
        The extra is not installed, or the configuration of dask-jobqueue lacks something.
    """
    jobqueue = _imported("dask_jobqueue", "slurm")
    distributed = _imported("distributed", "slurm")
    try:
        cluster = jobqueue.SLURMCluster()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"dask-jobqueue cannot ask SLURM for workers ({' '.join(str(error).split())}): say "
            "what each job needs in ~/.config/dask/jobqueue.yaml; docs/guide/catalogue.md has an "
            "example"
        ) from error
    with cluster:
        cluster.scale(jobs=jobs)
        with distributed.Client(cluster) as client:
            yield client


def on_cluster(
    function: Callable[[Task], Result], tasks: Iterable[Task], client: Any
) -> Iterator[tuple[Task, Result | Died]]:
    """Do tasks on a cluster.

    Parameters
    ----------
    function
        Function that is importable on all workers, as is all that the tasks hold.
    tasks
        Tasks, which are drawn from the iterable as they are needed.
    client
        Client of the cluster. A task whose worker dies is given to others, as often as its
        scheduler
        allows (``distributed.scheduler.allowed-failures``).

    Yields
    ------
    task, result
        Tasks and their results in the order in which they are done. An error of a task is raised.

    Raises
    ------
    DataError
        Workers die again and again, or the scheduler went away.
    """
    distributed = _imported("distributed", "scheduler")
    left, of_future = iter(tasks), dict[str, Task]()
    deaths, done_any = 0, False

    def submitted(number: int) -> list[Any]:
        futures = []
        for task in islice(left, number):
            future = client.submit(function, task, pure=False)
            of_future[future.key] = task
            futures.append(future)
        return futures

    most = max(FEWEST_AHEAD, AHEAD * len(client.nthreads()))
    queue = distributed.as_completed(submitted(most))
    for future in queue:
        task = of_future.pop(future.key)
        try:
            result: Result | Died = future.result()
            done_any = True
        except distributed.KilledWorker:
            result, deaths = Died(), deaths + 1
            check_deaths(deaths, done_any)
        except distributed.CancelledError as error:
            raise DataError(
                "the Dask scheduler went away: start it again, then give the same command"
            ) from error
        yield task, result
        queue.update(submitted(1))


def _imported(module: str, option: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{option} needs Dask, which is not installed: {INSTALL}") from error
