"""Plan of a benchmark, and the time that it would take on this machine."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from lenspinn.benchmark.cell import Finished, RunState, run_state
from lenspinn.benchmark.grid import Cell
from lenspinn.config import to_dict
from lenspinn.data.provenance import provenance
from lenspinn.device import best_device
from lenspinn.errors import LenspinnError
from lenspinn.models import create_model
from lenspinn.simulate import get_recipe

TIMED_STEPS = 3
"""Number of steps that are timed, after a first one that is not."""


def plan(cells: Sequence[Cell], finished: Mapping[str, Finished | None], *, jobs: int) -> list[str]:
    """Say for each cell whether it is done, and how long it would still take.

    Parameters
    ----------
    cells
    finished
        Content of the finished cells of the grid, by the name of the cell.
    jobs
        Number of cells that run at once.

    Returns
    -------
    list of lines
        The time of a cell is that of its images, at the speed it had so far, or that of a finished
        cell of the same network on the same hardware, or else of a few training steps timed now,
        with one thread.
    """
    speeds = _known_speeds([content for content in finished.values() if content is not None])
    width = max((len(cell.name) for cell in cells), default=0)
    lines, total = [], 0.0
    for cell in cells:
        state = run_state(cell.config.out)
        if finished[cell.name] is not None:
            text = "done"
        elif state.text == "trained":
            text = "trained, to be measured"
        else:
            try:
                seconds = (cell.images - state.images_seen) / _speed(cell, state, speeds)
            except LenspinnError as error:
                text = f"{state.text}  cannot be trained: {error}"
            else:
                total += seconds
                text = f"{state.text}  about {_duration(seconds)}"
        lines.append(f"{cell.name:<{width}}  {text}")
    at_once = f"{jobs} at once" if jobs > 1 else "one after the other"
    return [*lines, f"{len(cells)} cells, {at_once}: about {_duration(total / jobs)}"]


def _speed(cell: Cell, state: RunState, speeds: dict[str, float]) -> float:
    """Return training images a second; new measurements are added to `speeds`, by network."""
    key = json.dumps(_network(to_dict(cell.config)["model"]))
    if state.seconds > 0:
        speeds[key] = state.images_seen / state.seconds
    if key not in speeds:
        speeds[key] = _timed_speed(cell)
    return speeds[key]


def _known_speeds(finished: Sequence[Finished]) -> dict[str, float]:
    """Training images a second of networks that were trained on hardware like this."""
    speeds = {}
    for cell in finished:
        if cell["trained_with"]["hardware"] == provenance()["hardware"]:
            end = cell["history"][-1]
            speeds[json.dumps(_network(cell["config"]["model"]))] = (
                end["images_seen"] / end["seconds"]
            )
    return speeds


def _network(model: dict[str, Any]) -> dict[str, Any]:
    """Return name and options, less the first weights: all are as fast, not all are at hand."""
    options = {name: value for name, value in model["options"].items() if name != "pretrained"}
    return model | {"options": options}


def _timed_speed(cell: Cell) -> float:
    """Train for a few steps on noise, and return images a second."""
    config, camera = cell.config, get_recipe(cell.recipe).camera
    device = best_device()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = create_model(
            config.model.name,
            **{"num_pix": camera.num_pix, "pixel_scale": camera.pixel_scale}
            | _network(to_dict(config)["model"])["options"],
        ).to(device)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, fused=True)
        image = torch.rand(config.batch_size, 1, camera.num_pix, camera.num_pix, device=device)
        label = torch.arange(config.batch_size, device=device) % len(model.classes)
        for step in range(TIMED_STEPS + 1):
            if step == 1:
                started = time.perf_counter()
            optimizer.zero_grad()
            loss = cross_entropy(model(image + 0.01), label)
            loss.backward()
            optimizer.step()
            loss.item()
    finally:
        torch.set_num_threads(threads)
    return TIMED_STEPS * config.batch_size / (time.perf_counter() - started)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
