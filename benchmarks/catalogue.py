"""How fast, how large and how safe a catalogue is: rates, memory, workers, and kills at random.

Short rows are arrays that a small network classifies, trained here for one epoch: what they cost is
mostly the catalogue itself. Long rows are lenses of HST that are measured. Each measurement is kept
in FOLDER, so that an interrupted call is continued by the same one.

    python benchmarks/catalogue.py ../shared/data/hst_slacs63 --work FOLDER [--quick]

Kills are SIGKILL of the command, whose workers end with it; the same command is then given again
until it ends, and its table compared with that of an uninterrupted run, but for the seconds.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from result_file import write_result

from lenspinn.files import write_whole

OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "catalogue.json"
IMAGES = 200
SHORT = (200, 2000)
"""Rows."""
LENSES = 16
"""That are measured."""
BAD = 10
"""Of the short rows, files that are none."""


def prepare(work: Path) -> None:
    """Simulate images as arrays, and train the network that classifies them."""
    if (work / "run" / "manifest.json").exists():
        return
    from lenspinn.data.store import ImageStore
    from lenspinn.simulate import SimulateConfig, simulate
    from lenspinn.train import ModelConfig, TrainConfig, train_model

    config = SimulateConfig(recipe="deeplense/model_3", num=IMAGES, out=work / "images.zarr")
    store = ImageStore.open(config.out if config.out.exists() else simulate(config))
    (work / "lenses").mkdir(exist_ok=True)
    for number, image in enumerate(store.images(slice(0, IMAGES))[:, 0]):
        np.save(work / "lenses" / f"{number:03d}.npy", image)
    model = ModelConfig("lenspinn_small")
    train_model(TrainConfig(data=config.out, out=work / "run", model=model, epochs=1))


def short_table(work: Path, rows: int, *, bad: int = 0) -> Path:
    """Write a table of as many rows, which repeat the images; the first ones name no file."""
    path = work / f"short_{rows}_{bad}.csv"
    names = [f"lenses/{row % IMAGES:03d}.npy" for row in range(rows)]
    names[:bad] = [f"missing_{row}.npy" for row in range(bad)]
    lines = [f"{row},{name}" for row, name in enumerate(names)]
    path.write_text("\n".join(["id,image", *lines]) + "\n")
    return path


def long_table(work: Path, data: Path, rows: int) -> Path:
    """Write a table of the first lenses of a folder of lens folders."""
    path = work / f"long_{rows}.csv"
    lenses = sorted(entry for entry in data.iterdir() if (entry / "data.fits").is_file())
    path.write_text("\n".join(["image", *(str(lens.resolve()) for lens in lenses[:rows])]) + "\n")
    return path


def command(table: Path, out: Path, *options: str) -> list[str]:
    """Return the words of a command in a process of its own, with the peak of its memory."""
    words = ["catalogue", str(table), "--out", str(out), "--progress", "false", *options]
    return [sys.executable, "-m", "lenspinn.cli", *words]


def apply_options(work: Path, workers: int) -> list[str]:
    """Return the options of short rows."""
    return ["--do", "apply", "--model", str(work / "run"), "--workers", str(workers)]


def timed(words: list[str]) -> dict[str, float]:
    """Run a command to its end."""
    begin, busy = time.perf_counter(), os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": time.perf_counter() - begin,
        "processor_seconds": used,
        "load_before": busy,
    }


def peak_memory(words: list[str]) -> dict[str, float]:
    """Run a command, and watch the memory of it and of all its workers, MiB."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begin, whole, largest = time.perf_counter(), 0.0, 0.0
    while process.poll() is None:
        sizes = [_resident(number) for number in (process.pid, *_children(process.pid))]
        whole, largest = max(whole, sum(sizes)), max(largest, *sizes)
        time.sleep(0.2)
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed")
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "all_processes_MiB": whole, "largest_process_MiB": largest}


def _children(process: int) -> list[int]:
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [number for child in map(int, listed) for number in (child, *_children(child))]


def _resident(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def rows_of(out: Path) -> list[dict[str, Any]]:
    """Return the rows of a catalogue without the seconds, which no two runs share."""
    rows = pyarrow.parquet.read_table(out / "catalogue.parquet").to_pylist()
    return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in rows]


def killed(work: Path, table: Path, whole: Path, number: int, longest: float) -> dict[str, Any]:
    """Kill a command once at a random time, give it again, and compare the tables."""
    out = work / f"killed_{number}"
    words = command(table, out, *apply_options(work, 1))
    delay = random.Random(number).uniform(0, longest)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    parts = len(list((out / "parts").glob("*.parquet"))) if out.exists() else 0
    subprocess.run(words, check=True, capture_output=True)
    return {
        "after_seconds": delay,
        "killed": process.returncode == -signal.SIGKILL,
        "parts_on_disk": parts,
        "same_table": rows_of(out) == rows_of(whole),
    }


def batch_gain(work: Path) -> dict[str, float]:
    """Compare images answered together with images answered one by one, in one process."""
    import torch

    from lenspinn.apply.grounds import Judge
    from lenspinn.apply.image import answer_ready, make_ready

    torch.set_num_threads(1)
    judge = Judge.of(work / "run")
    images = [np.load(work / "lenses" / f"{number:03d}.npy") for number in range(64)]
    ready = [make_ready(image, judge, pixel_scale=None, telescope=False) for image in images]
    answer_ready(ready[:2], judge)
    begin = time.process_time()
    for image in ready:
        answer_ready([image], judge)
    alone = time.process_time() - begin
    begin = time.process_time()
    answer_ready(ready, judge)
    together = time.process_time() - begin
    return {"one_by_one": alone / 64, "64_together": together / 64, "ratio": alone / together}


def measured(work: Path, data: Path, once: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Measure some lenses with one worker and with two."""
    table = long_table(work, data, LENSES)
    by_workers = {
        str(workers): once(
            f"long_{workers}",
            lambda workers=workers: timed(
                command(table, work / f"long_{workers}_out", "--workers", str(workers))
            ),
        )
        for workers in (1, 2)
    }
    return {
        "lenses": LENSES,
        "by_workers": by_workers,
        "two_workers_over_one": by_workers["1"]["seconds"] / by_workers["2"]["seconds"],
        "processor_seconds_a_lens": by_workers["1"]["processor_seconds"] / LENSES,
    }


def once_in(work: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that measures what is not kept in a folder by its name, and keeps it."""

    def once(name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = work / f"{name}.json"
        if not path.exists():
            write_whole(path, json.dumps(measure()).encode())
        found: dict[str, Any] = json.loads(path.read_text())
        print(name, found, flush=True)
        return found

    return once


def main() -> None:
    """Measure what is not measured yet, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--quick", action="store_true", help="few kills, and nothing is measured")
    config = parser.parse_args()
    work = config.work
    work.mkdir(parents=True, exist_ok=True)
    kills = 2 if config.quick else 20
    once = once_in(work)

    prepare(work)
    gain = once("batch_gain", lambda: batch_gain(work))
    memory = {
        str(rows): once(
            f"memory_{rows}",
            lambda rows=rows: peak_memory(
                command(short_table(work, rows), work / f"out_{rows}", *apply_options(work, 1))
            ),
        )
        for rows in SHORT
    }
    bad_table, bad_out = short_table(work, IMAGES, bad=BAD), work / "out_bad"
    plain = once("bad", lambda: timed(command(bad_table, bad_out, *apply_options(work, 1))))
    statuses = [row["apply_status"] for row in rows_of(bad_out)]
    every_kill = [
        once(
            f"kill_{number}",
            lambda number=number: killed(work, bad_table, bad_out, number, plain["seconds"]),
        )
        for number in range(kills)
    ]
    few, many = (memory[str(rows)] for rows in SHORT)
    write_result(
        config.out,
        {
            "quick": config.quick,
            "answers_together": {"unit": "processor seconds a lens", **gain},
            "short_rows": {
                "memory": memory,
                "rows_per_second": (SHORT[1] - SHORT[0]) / (many["seconds"] - few["seconds"]),
            },
            "bad_rows": {"ok": statuses.count("ok"), "failed": statuses.count("failed")},
            "kills": {
                "num": sum(kill["killed"] for kill in every_kill),
                "same_table": sum(kill["same_table"] for kill in every_kill),
                "each": every_kill,
            },
            "measured": None if config.quick else measured(work, config.data, once),
        },
    )


if __name__ == "__main__":
    main()
