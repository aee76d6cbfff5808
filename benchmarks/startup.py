"""How long a command or a first name in Python takes to be there, against `import torch`.

Each is a process of its own. They take turns with ``import torch`` alone, so that whatever else the
machine does slows all alike, and the first round, which fills the disk cache, is left out. Ratios
are of medians; of processor time they hardly depend on what else runs.

    python benchmarks/startup.py [--rounds 5]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from result_file import write_result

from lenspinn.cli import COMMANDS

OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "startup.json"
TORCH = "import torch"
WITHOUT_TORCH = {
    "import lenspinn": ["-c", "import lenspinn"],
    **{
        f"lenspinn {' '.join(words)}": ["-m", "lenspinn.cli", *words]
        for words in (
            *(["--version"], ["--help"], ["recipes"], ["models"]),
            *([name, "--help"] for name in COMMANDS),
        )
    },
}
WITH_TORCH = {
    f"import lenspinn; lenspinn.{name}": ["-c", f"import lenspinn; lenspinn.{name}"]
    for name in ("measure_lens", "create_model", "from_pretrained", "predict", "simulate_images")
}
AIM = {"without_torch": 0.3, "lenspinn.measure_lens": 1.3}
"""Largest ratios."""


class Cost(NamedTuple):
    """Of one process, s."""

    wall: float
    processor: float


def measure(words: list[str]) -> Cost:
    """Run Python once."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, used)


def main() -> None:
    """Measure everything and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    subjects = {TORCH: ["-c", TORCH], **WITHOUT_TORCH, **WITH_TORCH}
    costs: dict[str, list[Cost]] = {name: [] for name in subjects}
    for number in range(config.rounds + 1):
        for name, words in subjects.items():
            cost = measure(words)
            if number:
                costs[name].append(cost)
    reference = _medians(costs.pop(TORCH))
    records: list[dict[str, Any]] = [
        {
            "what": name,
            "needs_torch": name in WITH_TORCH,
            "seconds": round(median.wall, 3),
            "processor_seconds": round(median.processor, 3),
            "reference": TORCH,
            "reference_seconds": round(reference.wall, 3),
            "ratio": round(median.wall / reference.wall, 3),
            "processor_ratio": round(median.processor / reference.processor, 3),
        }
        for name, median in ((name, _medians(each)) for name, each in costs.items())
    ]
    for record in records:
        print(f"{record['ratio']:6.2f} {record['processor_ratio']:6.2f}  {record['what']}")
    write_result(config.out, {"rounds": config.rounds, "aim": AIM, "records": records})


def _medians(costs: list[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


if __name__ == "__main__":
    main()
