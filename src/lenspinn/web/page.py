"""Layout of the page: its tabs, and the function that each of their parts calls."""

import base64
import functools
import html
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenspinn.errors import LenspinnError
from lenspinn.web.gallery import recipe_gallery
from lenspinn.web.network_answers import answers_figure, ask_networks
from lenspinn.web.own_image import Finding, study_image
from lenspinn.web.played_lens import INSTRUMENTS, SUBSTRUCTURE, LensChoice, play_lens
from lenspinn.web.played_picture import played_picture
from lenspinn.web.samples import SAMPLES, write_sample

__all__ = ["make_app", "make_page"]

KEPT = 3600
"""Time that uploads and downloads are kept, s."""
AT_ONCE = 2
"""Largest number of lenses that are played with at the same time; others wait."""
JOBS = {
    "measure": "The lens",
    "apply": "The networks",
    "detect": "Dark clumps",
}
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'"
)
"""Content security policy of the page: a browser loads nothing from other servers."""
STYLE = "#shown, #said {position: sticky; top: 1em; align-self: flex-start}"
"""Style that keeps pictures in sight while sliders further down are moved."""
NOTHING_YET = "Drop a FITS file on the left, or take a sample; then press the button."


class _Range(NamedTuple):
    """Range, step and label of a slider."""

    low: float
    high: float
    step: float
    label: str


RANGES = {
    "theta_E": _Range(0.5, 1.7, 0.01, "Einstein radius θ_E, arcsec"),
    "ellipticity": _Range(0.0, 0.3, 0.01, "ellipticity"),
    "ellipticity_angle": _Range(0, 180, 1, "its angle, degrees"),
    "shear": _Range(0.0, 0.2, 0.005, "shear"),
    "shear_angle": _Range(0, 180, 1, "its angle, degrees"),
    "source_x": _Range(-0.5, 0.5, 0.01, "source x, arcsec"),
    "source_y": _Range(-0.5, 0.5, 0.01, "source y, arcsec"),
    "R_sersic": _Range(0.05, 0.4, 0.01, "half-light radius, arcsec"),
    "n_sersic": _Range(0.7, 3.0, 0.1, "Sérsic index"),
    "magnitude": _Range(20.0, 26.0, 0.1, "magnitude (AB, unlensed)"),
    "log_mass": _Range(
        7.0, 10.5, 0.05, "log10 mass / solar masses: clump, heaviest subhalo, vortex"
    ),
    "clump_x": _Range(-2.0, 2.0, 0.05, "clump x, arcsec"),
    "clump_y": _Range(-2.0, 2.0, 0.05, "clump y, arcsec"),
    "draw": _Range(1, 100, 1, "draw of noise and populations"),
}
GROUPS = {
    "Lens": ("theta_E", "ellipticity", "ellipticity_angle", "shear", "shear_angle"),
    "Source": ("source_x", "source_y", "R_sersic", "n_sersic", "magnitude"),
    "Substructure": ("substructure", "log_mass", "clump_x", "clump_y"),
    "Telescope": ("instrument", "draw"),
}
CHOICES = {
    "substructure": ("dark matter", SUBSTRUCTURE),
    "instrument": ("instrument", tuple(INSTRUMENTS)),
}


def make_app(*, most_uploaded: int) -> FastAPI:
    """Return the page as an ASGI application.

    Parameters
    ----------
    most_uploaded
        Largest size of an uploaded file, bytes.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Policy)
    return gr.mount_gradio_app(
        app,
        make_page(),
        path="/",
        max_file_size=most_uploaded,
        ssr_mode=False,
        show_error=False,
        footer_links=[],
        css=STYLE,
        theme=gr.themes.Default(font="sans-serif", font_mono="monospace"),
    )


def make_page() -> gr.Blocks:
    """Return the layout."""
    with gr.Blocks(
        title="lenspinn", analytics_enabled=False, fill_width=True, delete_cache=(600, KEPT)
    ) as page:
        gr.Markdown("# lenspinn: dark matter with strong lenses")
        with gr.Tab("Play"):
            _play_tab(page)
        with gr.Tab("Your image"):
            _own_tab()
        with gr.Tab("Gallery") as tab:
            recipes = gr.HTML("Drawing the recipes …", elem_id="recipes")
            tab.select(gallery, None, recipes, show_progress="hidden", api_name="gallery")
    page.queue(default_concurrency_limit=AT_ONCE)
    return page


def play(*values: Any) -> tuple[str, str]:
    """Return picture and sentence of the lens that the sliders describe.

    Parameters
    ----------
    *values
        Values in the order of the fields of `LensChoice`.
    """
    try:
        lens = play_lens(_choice(values))
    except LenspinnError as error:
        return "", str(error)
    return _picture(played_picture(lens), "Image, residual and maps of the lens"), lens.sentence


def ask(*values: Any) -> tuple[str, str]:
    """Return picture and sentences of the networks' answers for this lens."""
    try:
        answers = ask_networks(play_lens(_choice(values)))
    except LenspinnError as error:
        return "", str(error)
    drawn = answers_figure(answers)
    shown = "" if drawn is None else _picture(drawn, "Probabilities of the classes")
    return shown, "\n".join(each.sentence for each in answers)


def study(
    image: str | None,
    noise: str | None,
    psf: str | None,
    pixel_scale: float | None,
    progress: Callable[..., Any] = gr.Progress(),  # noqa: B008 - how gradio knows it
) -> Iterator[tuple[Any, ...]]:
    """Yield the results for an uploaded image, again after each job.

    Yields
    ------
    tuple
        Progress; sentence and picture of each of `JOBS`; files to download.
    """
    if image is None:
        yield _shown(NOTHING_YET, [])
        return
    yield _shown("Working …", [])
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="lenspinn_own_") as folder:
        try:
            for found in study_image(
                Path(image),
                Path(folder),
                noise=_path(noise),
                psf=_path(psf),
                pixel_scale=pixel_scale or None,
                progress=lambda share, text: progress(share, desc=text),
            ):
                findings.append(found)
                left = len(JOBS) - len({each.job for each in findings})
                yield _shown("Working …" if left else "Done.", findings)
        except LenspinnError as error:
            yield _shown(str(error), findings)


def gallery() -> str:
    """Return all recipes as HTML."""
    return _gallery_html()


def sample(name: str) -> tuple[str, str, str]:
    """Return the files of a sample."""
    folder = Path(tempfile.mkdtemp(prefix="sample_", dir=gr.utils.get_upload_folder()))
    image, noise, psf = map(str, write_sample(name, folder))
    return image, noise, psf


def _play_tab(page: gr.Blocks) -> None:
    parts: dict[str, Any] = {}
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            for group, names in GROUPS.items():
                with gr.Accordion(group, open=group != "Telescope"):
                    parts |= {name: _part(name) for name in names}
        with gr.Column(scale=5, min_width=480, elem_id="shown"):
            picture = gr.HTML(elem_id="played")
            sentence = gr.Textbox(label="What the smooth lens cannot explain", lines=2)
        with gr.Column(scale=2, min_width=260, elem_id="said"):
            bars = gr.HTML(elem_id="bars")
            said = gr.Textbox(label="What the networks say", lines=6, max_lines=16)
    inputs = [parts[field.name] for field in fields(LensChoice)]
    moved = gr.on(
        [page.load, *(part.change for part in inputs)],
        play,
        inputs,
        [picture, sentence],
        show_progress="hidden",
        trigger_mode="always_last",
        api_name="play",
    )
    moved.then(
        ask,
        inputs,
        [bars, said],
        show_progress="minimal",
        trigger_mode="always_last",
        concurrency_limit=1,
        api_name="ask",
    )


def _part(name: str) -> Any:
    default = getattr(LensChoice(), name)
    if name in CHOICES:
        label, known = CHOICES[name]
        return gr.Radio(list(known), value=default, label=label, elem_id=name)
    low, high, step, label = RANGES[name]
    return gr.Slider(low, high, value=default, step=step, label=label, elem_id=name)


def _own_tab() -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            names = gr.Dropdown(list(SAMPLES), value=None, label="A sample, simulated")
            image = gr.File(label="Image, FITS (needed)", elem_id="image")
            noise = gr.File(label="Noise map, FITS", elem_id="noise", height=110)
            psf = gr.File(label="PSF, FITS", elem_id="psf", height=110)
            scale = gr.Number(
                value=0, label="Pixel scale, arcsec per pixel (0: as the file says)", minimum=0
            )
            start = gr.Button("Measure, ask and search", variant="primary", elem_id="start")
        with gr.Column(scale=4, min_width=480):
            state = gr.Textbox(NOTHING_YET, label="State", elem_id="state", lines=2)
            shown: list[Any] = [state]
            for job, title in JOBS.items():
                shown.append(gr.Textbox(label=title, elem_id=f"{job}_sentence", lines=2))
                shown.append(gr.HTML(elem_id=f"{job}_picture"))
            shown.append(
                gr.File(label="Files", file_count="multiple", interactive=False, elem_id="files")
            )
    names.input(sample, names, [image, noise, psf], api_name="sample")
    start.click(
        study,
        [image, noise, psf, scale],
        shown,
        concurrency_limit=1,
        show_progress_on=state,
        api_name="study",
    )


def _choice(values: Sequence[Any]) -> LensChoice:
    given = dict(zip((field.name for field in fields(LensChoice)), values, strict=True))
    return LensChoice(**given | {"draw": int(given["draw"])})


def _shown(state: str, findings: Sequence[Finding]) -> tuple[Any, ...]:
    """Return values of the parts of the second tab."""
    parts: list[Any] = [state]
    for job, title in JOBS.items():
        of_job = [each for each in findings if each.job == job]
        pictures = [each.picture.read_bytes() for each in of_job if each.picture is not None]
        parts.append("\n".join(each.sentence for each in of_job))
        parts.append("".join(_picture(png, title) for png in pictures))
    files = [str(path) for each in findings for path in each.files]
    return (*parts, files or None)


@functools.cache
def _gallery_html() -> str:
    entries = [
        f"<section><h3>{html.escape(entry.name)}</h3><p>{html.escape(entry.summary)}</p>"
        + ("" if entry.picture is None else _picture(entry.picture, entry.name))
        + f"<pre style='white-space:pre-wrap'>{html.escape(entry.command)}</pre></section>"
        for entry in recipe_gallery()
    ]
    grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:1.5em"
    return f'<div style="{grid}">{"".join(entries)}</div>'


def _picture(png: bytes, name: str) -> str:
    """Return a picture as HTML that holds it, so that no file has to be kept for it."""
    data = base64.b64encode(png).decode()
    style = "max-width:100%;height:auto"
    return f'<img alt="{html.escape(name)}" style="{style}" src="data:image/png;base64,{data}">'


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


class _Policy:
    """Adds `POLICY` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self.app(scope, receive, send_with_policy)
