"""How long the page of `lenspinn web` takes: to be there, to move a slider, to ask the networks.

A page is served as a user serves it, and looked at with Debian's chromium. A move is from the
change of a slider until another picture is shown; the networks answer after it. The first of each
counts as cold, the rest as warm; a move waits until the networks have answered the last. Loads say
what else the machine did; processor time hardly depends on that.

    python benchmarks/web.py [--moves 20]
"""

import argparse
import functools
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from result_file import write_result

from lenspinn.web import LensChoice, PlayedLens, play_lens
from lenspinn.web.network_answers import answers_figure, ask_networks
from lenspinn.web.played_lens import INSTRUMENTS
from lenspinn.web.played_picture import played_picture

OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "web.json"
AIM = 0.3
"""Seconds of a move."""
PATIENCE = 120_000
"""Milliseconds."""


def main() -> None:
    """Measure the functions alone, then the page, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    load = os.getloadavg()[0]
    records = [*_functions(config.moves), *_page(config.moves)]
    for record in records:
        print(f"{record['cold_seconds']:7.3f} {record['seconds']:7.3f}  {record['what']}")
    measured = {
        "moves": config.moves,
        "aim_seconds": AIM,
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "records": records,
    }
    write_result(config.out, measured)


def _functions(moves: int) -> list[dict[str, Any]]:
    """Measure what a move calls, without page and browser."""
    records = []
    for instrument in INSTRUMENTS:
        lenses = [_choice(instrument, move) for move in range(moves + 1)]
        calls = [functools.partial(_draw, lens) for lens in lenses]
        records.append(_function(f"function: picture, {instrument}", calls))
    seen = [play_lens(_choice("HST WFC3/F160W", move)) for move in range(moves + 1)]
    asked = [functools.partial(_ask, lens) for lens in seen]
    return [*records, _function("function: networks", asked)]


def _draw(choice: LensChoice) -> bytes:
    return played_picture(play_lens(choice))


def _ask(lens: PlayedLens) -> bytes | None:
    return answers_figure(ask_networks(lens))


def _choice(instrument: str, move: int) -> LensChoice:
    return LensChoice(instrument=instrument, theta_E=0.8 + 0.02 * move)


def _page(moves: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "lenspinn.cli", "web", "--port", "0"]
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split(" at ")[1].split()[0]
        started = time.perf_counter() - begin
        with sync_playwright() as playwright:
            arguments = [] if os.geteuid() else ["--no-sandbox"]
            chromium = playwright.chromium.launch(executable_path=browser, args=arguments)
            page = chromium.new_page(viewport={"width": 1500, "height": 1000})
            opened = [_timed(functools.partial(_open, page, address)) for _ in range(3)]
            _wait_for_networks(page)
            times = [_move(page, 0.8 + 0.02 * move) for move in range(moves + 1)]
            chromium.close()
        server.terminate()
    pictures, networks = zip(*times, strict=True)
    return [
        _record("page: command until it is served", [started, started]),
        _record("page: opened until the first picture", opened),
        _record("page: slider until another picture", pictures),
        _record("page: slider until the networks have answered", networks),
    ]


def _open(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#played img", timeout=PATIENCE)


def _wait_for_networks(page: Page) -> None:
    page.wait_for_selector("#bars img", timeout=PATIENCE)
    page.wait_for_timeout(1000)


def _move(page: Page, theta_E: float) -> tuple[float, float]:
    """Move a slider; seconds until another picture, and until the networks have answered."""
    old = {name: page.locator(f"#{name} img").get_attribute("src") for name in ("played", "bars")}
    slider = page.locator("#theta_E input[type=number]")
    begin = time.perf_counter()
    slider.fill(f"{theta_E:.2f}")
    slider.press("Enter")
    times = []
    for name, source in old.items():
        page.wait_for_function(
            "([name, old]) => document.querySelector(`#${name} img`)?.src != old",
            arg=[name, source],
            timeout=PATIENCE,
        )
        times.append(time.perf_counter() - begin)
    page.wait_for_timeout(300)
    return times[0], times[1]


def _timed(do: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def _function(what: str, calls: list[Callable[[], Any]]) -> dict[str, Any]:
    """Time calls of a function of this process; processor time is that of those after the first."""
    cold, begin = _timed(calls[0]), time.process_time()
    warm = [_timed(call) for call in calls[1:]]
    processor = (time.process_time() - begin) / len(warm)
    return _record(what, [cold, *warm]) | {"processor_seconds": round(processor, 3)}


def _record(what: str, seconds: list[float] | tuple[float, ...]) -> dict[str, Any]:
    cold, *warm = seconds
    return {
        "what": what,
        "cold_seconds": round(cold, 3),
        "seconds": round(statistics.median(warm), 3),
        "slowest_seconds": round(max(warm), 3),
        "runs": len(warm),
    }


if __name__ == "__main__":
    main()
