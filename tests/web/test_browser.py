"""The page as a user sees it, in Debian's chromium."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lenspinn.web import LensChoice
from lenspinn.web.samples import SampleFiles

PATIENCE = 120_000
"""Milliseconds."""
HOSTILE = "<img src=x onerror=alert(1)>;$(touch x)&.fits"


@pytest.fixture
def opened(chromium: Any, address: str) -> Iterator[Any]:
    """The page, with its first picture; everything that it asked for was asked of it."""
    tab = chromium.new_page()
    tab.set_default_timeout(PATIENCE)
    asked: list[str] = []
    dialogs: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.goto(address)
    tab.wait_for_selector("#played img")
    yield tab
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    tab.close()
    assert hosts == {urlsplit(address).netloc}
    assert dialogs == []


def has_other_picture(tab: Any, than: str) -> None:
    tab.wait_for_function(
        "than => document.querySelector('#played img').src != than", arg=than, timeout=PATIENCE
    )


def picture(tab: Any) -> str:
    return tab.locator("#played img").get_attribute("src")


def test_a_slider_changes_the_picture(opened: Any) -> None:
    before = picture(opened)
    slider = opened.locator("#theta_E input[type=range]")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    has_other_picture(opened, before)
    opened.wait_for_selector("#bars img")
    assert "lenspinn_fit_hst" in opened.get_by_label("What the networks say").input_value()


def test_an_upload_ends_in_an_answer(opened: Any, sample_files: SampleFiles) -> None:
    opened.get_by_role("tab", name="Your image").click()
    for kind, path in sample_files._asdict().items():
        opened.set_input_files(f"#{kind} input[type=file]", path)
        opened.wait_for_selector(f"#{kind} a[download]")
    opened.click("#start")
    opened.wait_for_function("document.querySelector('#state textarea').value == 'Done.'")
    sentences = [
        opened.locator(f"#{job}_sentence textarea").input_value()
        for job in ("measure", "apply", "detect")
    ]
    assert sentences[0].startswith("theta_E 1.")
    assert all(sentences)
    assert opened.locator("#measure_picture img").count() == 1
    with opened.expect_download() as download:
        opened.locator("#files a[download]").first.click()
    assert download.value.suggested_filename == "measured.json"
    assert b'"theta_E' in download.value.path().read_bytes()


def test_a_bad_file_of_a_hostile_name_is_one_sentence(opened: Any, tmp_path: Path) -> None:
    bad = tmp_path / HOSTILE
    bad.write_bytes(b"no image" * 100)
    opened.get_by_role("tab", name="Your image").click()
    opened.set_input_files("#image input[type=file]", bad)
    opened.wait_for_selector("#image a[download]")
    opened.click("#start")
    opened.wait_for_function(
        "document.querySelector('#state textarea').value.startsWith('image.fits')"
    )
    sentence = opened.locator("#state textarea").input_value()
    assert "is no FITS file" in sentence
    assert "\n" not in sentence
    assert opened.locator("img[onerror]").count() == 0
    assert not list(tmp_path.parent.glob("x"))


def test_a_sample_is_there_at_a_click(opened: Any) -> None:
    opened.get_by_role("tab", name="Your image").click()
    opened.get_by_label("A sample, simulated").click()
    opened.get_by_role("option", name="smooth lens, HST").click()
    opened.wait_for_selector("#psf a[download]")
    assert "sample_psf" in opened.locator("#psf").inner_text().replace("\n", "")


def test_the_gallery_shows_recipes(opened: Any) -> None:
    opened.get_by_role("tab", name="Gallery").click()
    opened.wait_for_selector("#recipes img")
    assert opened.locator("#recipes img").count() > 10


def test_of_20_users_at_once_each_gets_their_own_lens(chromium: Any, address: str) -> None:
    assert chromium.is_connected()  # this one is about the server, but counts as its test
    from gradio_client import Client

    choices = [LensChoice(theta_E=0.6 + 0.05 * n) for n in range(20)]

    def use(choice: LensChoice) -> str:
        client = Client(address, verbose=False, analytics_enabled=False)
        return client.predict(*astuple(choice), api_name="/play")[1]

    with ThreadPoolExecutor(20) as users:
        sentences = list(users.map(use, choices))
    from lenspinn.web import play_lens

    assert sentences == [play_lens(choice).sentence for choice in choices]
