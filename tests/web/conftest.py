"""A page of its own for the tests, and Debian's chromium to look at it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Mocks take most of a search, and what they are good for is tested elsewhere.
SERVE = """
import functools
from lenspinn.web import page, serve_page
page.study_image = functools.partial(page.study_image, mocks=0, injected=0)
for line in serve_page(port=0):
    print(line, flush=True)
"""


def address_in(line: str) -> str:
    """Where the page is, of the line that says so."""
    return line.split("the page is at ")[1].split()[0]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of a page whose searches make no mocks."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        yield address_in(server.stdout.readline())
        server.terminate()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser; skips where there is none."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root cannot have
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sample_files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """FITS files of a simulated lens whose fits are quick."""
    from lenspinn.web import write_sample

    folder: Path = tmp_path_factory.mktemp("sample")
    return write_sample("smooth lens, ten years of Rubin", folder)
