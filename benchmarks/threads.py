"""How fast LensPINN_small trains beside other processes, by what OpenMP is told of threads.

Each setting is a process of its own, which trains for some seconds when its turn comes, beside
nothing, one or two processes that keep a core busy each. The settings take turns within each round,
so that whatever else the machine does slows all alike; how busy it was besides is in the result.

    python benchmarks/threads.py [--rounds 3] [--seconds 5]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from result_file import write_result

OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "threads.json"
SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "pinned": {"OMP_PROC_BIND": "TRUE", "OMP_PLACES": "cores"},
    "passive and pinned": {
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_PROC_BIND": "TRUE",
        "OMP_PLACES": "cores",
    },
    "one thread fewer": {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1))},
}
BUSY = (0, 1, 2)
"""Processes beside."""
BATCH_SIZE, NUM_PIX = 64, 64
WARM_UP_STEPS = 2


def train_when_asked() -> None:
    """Train for as many seconds as each line of the input says, and answer with steps a second."""
    import torch
    from torch.nn.functional import cross_entropy

    from lenspinn.models import create_model

    model = create_model("lenspinn_small", num_pix=NUM_PIX, pixel_scale=0.08)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    images = torch.rand(BATCH_SIZE, 1, NUM_PIX, NUM_PIX)
    labels = torch.arange(BATCH_SIZE) % 3

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

    for _ in range(WARM_UP_STEPS):
        step()
    print(torch.get_num_threads(), flush=True)
    for line in sys.stdin:
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < float(line):
            step()
            steps += 1
        print(steps / (time.perf_counter() - begin), flush=True)


def start(setting: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process that trains when asked."""
    others = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "MKL_"))}
    return subprocess.Popen(
        [sys.executable, __file__, "--worker"],
        env=others | setting,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(worker: subprocess.Popen[str], seconds: float) -> float:
    """Let a process train, and return its steps a second."""
    assert worker.stdin is not None
    worker.stdin.write(f"{seconds}\n")
    worker.stdin.flush()
    return answer(worker)


def answer(worker: subprocess.Popen[str]) -> float:
    """Return the next number that a process prints."""
    assert worker.stdout is not None
    return float(worker.stdout.readline())


@contextmanager
def busy_processes(num: int) -> Iterator[None]:
    """Keep some processes busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(num)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    """Measure every setting and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    config = parser.parse_args()
    if config.worker:
        train_when_asked()
        return
    workers = {name: start(setting) for name, setting in SETTINGS.items()}
    threads = {name: int(answer(worker)) for name, worker in workers.items()}
    speeds: dict[tuple[str, int], list[float]] = {}
    loads: list[float] = []
    for _ in range(config.rounds):
        for num in BUSY:
            with busy_processes(num):
                for name, worker in workers.items():
                    speeds.setdefault((name, num), []).append(ask(worker, config.seconds))
                loads.append(os.getloadavg()[0])
    for worker in workers.values():
        worker.communicate()
    records: list[dict[str, Any]] = [
        {
            "what": name,
            "environment": SETTINGS[name],
            "num_threads": threads[name],
            "busy_processes": num,
            "steps_per_s": round(statistics.median(each), 3),
            "slowest_steps_per_s": round(min(each), 3),
            # Round by round: the settings of a round were slowed alike.
            "ratio_to_default": round(
                statistics.median(
                    speed / default
                    for speed, default in zip(each, speeds["default", num], strict=True)
                ),
                3,
            ),
        }
        for (name, num), each in speeds.items()
    ]
    for record in records:
        print(record)
    measured = {"rounds": config.rounds, "seconds": config.seconds, "load_averages": loads}
    write_result(config.out, measured | {"records": records})


if __name__ == "__main__":
    main()
