"""Whether a large catalogue and one of a Dask cluster end in the table of an uninterrupted run.

Rows are those of `catalogue.py`: arrays that repeat and that a small network classifies. A cluster
of two worker processes on this machine loses one of them (SIGKILL) at a random time, while it has
tasks; 10,000 rows lose the whole command once, in the middle, and are continued. Each measurement
is kept in FOLDER, so that an interrupted call is continued by the same one.

    python benchmarks/catalogue_scale.py --work FOLDER [--quick]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
from catalogue import (
    apply_options,
    command,
    once_in,
    peak_memory,
    prepare,
    rows_of,
    short_table,
)
from distributed import Client, LocalCluster
from result_file import write_result

OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "catalogue_scale.json"
KILLS, QUICK_KILLS = 5, 3
ROWS = 10_000
CLUSTER_ROWS = 1000
"""Rows of a catalogue whose worker is killed."""
WORKERS = 2


def on_cluster(work: Path, address: str, out: Path) -> subprocess.Popen[bytes]:
    """Start a catalogue whose rows the workers of a scheduler do."""
    options = ["--do", "apply", "--model", str(work / "run"), "--scheduler", address]
    words = command(short_table(work, CLUSTER_ROWS), out, *options)
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_tasks(client: Client, process: subprocess.Popen[bytes]) -> None:
    """Wait until the scheduler has tasks."""
    while not any(client.processing().values()):
        if process.poll() is not None:
            sys.exit("the catalogue ended before its tasks were seen")
        time.sleep(0.05)


def uninterrupted(work: Path, client: Client, address: str) -> dict[str, float]:
    """Run a catalogue on a cluster to its end, s from the first task on."""
    load = os.getloadavg()[0]
    process = on_cluster(work, address, work / "cluster_whole")
    wait_for_tasks(client, process)
    begin = time.perf_counter()
    if process.wait():
        sys.exit("the catalogue of the cluster failed")
    return {"seconds_from_first_task": time.perf_counter() - begin, "load_before": load}


def worker_killed(
    work: Path, client: Client, address: str, number: int, longest: float
) -> dict[str, Any]:
    """Kill a worker at a random time after the first task, and compare the tables."""
    client.wait_for_workers(WORKERS)
    draw, load, out = random.Random(number), os.getloadavg()[0], work / f"cluster_{number}"
    process = on_cluster(work, address, out)
    wait_for_tasks(client, process)
    delay = draw.uniform(0, longest)
    time.sleep(delay)
    tasks = client.processing()
    worker, pid = draw.choice(sorted(client.run(os.getpid).items()))
    running = process.poll() is None
    os.kill(pid, signal.SIGKILL)
    process.wait()
    return {
        "after_seconds": delay,
        "command_was_running": running,
        "tasks_of_the_killed_worker": len(tasks[worker]),
        "command_failed": process.returncode != 0,
        "same_table": rows_of(out) == rows_of(work / "cluster_whole"),
        "load_before": load,
    }


def in_time(kill: dict[str, Any]) -> bool:
    """Return whether the killed worker had tasks."""
    return bool(kill["tasks_of_the_killed_worker"])


def cluster(work: Path, kills: int, once: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Kill a worker of a cluster, which its nanny replaces, until enough had tasks."""
    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as workers,
        Client(workers) as client,
    ):
        address = workers.scheduler_address
        whole = once("cluster_whole", lambda: uninterrupted(work, client, address))
        longest, each = whole["seconds_from_first_task"], []
        while sum(map(in_time, each)) < kills:
            number = len(each)
            kill = once(
                f"cluster_kill_{number}",
                lambda number=number, longest=longest: worker_killed(
                    work, client, address, number, longest
                ),
            )
            each.append(kill)
            if not in_time(kill):  # workers that are started already are faster
                longest = min(longest, kill["after_seconds"])
    return {
        "rows": CLUSTER_ROWS,
        "workers": WORKERS,
        "uninterrupted": whole,
        "kills_of_a_worker_with_tasks": sum(map(in_time, each)),
        "same_table": sum(kill["same_table"] for kill in each if in_time(kill)),
        "each": each,
    }


def rows_on_disk(out: Path) -> int:
    """Count the rows of the parts of a catalogue."""
    return sum(pyarrow.parquet.read_metadata(p).num_rows for p in (out / "parts").glob("*.parquet"))


def many_rows(work: Path, rows: int, once: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Run a large table to its end, and once more killed in the middle and continued."""
    table, whole, out = short_table(work, rows), work / "many_whole", work / "many_killed"

    def run(out: Path) -> dict[str, Any]:
        load, before = os.getloadavg()[0], rows_on_disk(out)
        found = peak_memory(command(table, out, *apply_options(work, 1)))
        done = rows - before
        return {**found, "rows": done, "rows_per_second": done / found["seconds"], "load": load}

    def killed() -> dict[str, Any]:
        delay = random.Random(0).uniform(0.4, 0.7) * first["seconds"]
        words = command(table, out, *apply_options(work, 1))
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        was_killed = process.returncode == -signal.SIGKILL
        return {"after_seconds": delay, "killed": was_killed, "rows_on_disk": rows_on_disk(out)}

    first = once("many_whole", lambda: run(whole))
    return {
        "rows": rows,
        "uninterrupted": first,
        "killed": once("many_killed", killed),
        "continued": once("many_continued", lambda: run(out)),
        "same_table": rows_of(out) == rows_of(whole),
        "table_MiB": (out / "catalogue.parquet").stat().st_size / 2**20,
    }


def main() -> None:
    """Measure what is not measured yet, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--quick", action="store_true", help="few kills, and no 10,000 rows")
    config = parser.parse_args()
    work = config.work.resolve()  # workers of a cluster have folders of their own
    work.mkdir(parents=True, exist_ok=True)
    once = once_in(work)

    prepare(work)
    of_cluster = cluster(work, QUICK_KILLS if config.quick else KILLS, once)
    large = "not run" if config.quick else many_rows(work, ROWS, once)
    write_result(config.out, {"quick": config.quick, "cluster": of_cluster, "many_rows": large})


if __name__ == "__main__":
    main()
