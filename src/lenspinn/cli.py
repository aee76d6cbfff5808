"""The command line: each command is a thin call of one public function.

This is the only module that prints or exits. Exit status: 0 done, 2 the input cannot be used
(one sentence says why), 130 interrupted, 1 a bug in lenspinn.
"""

import contextlib
import dataclasses
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

from lenspinn.errors import ConfigError, LenspinnError
from lenspinn.measure.output_names import FORMER_COMMANDS

__all__ = ["main"]


LONGEST_MESSAGE = 2000
"""Largest number of characters of a message that is printed."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: the function it calls, named so that nothing is imported before it is needed."""

    function: str
    summary: str
    example: str
    config_class: str | None = None
    says_folder: bool = False
    """Whether the folder that was written into is said on stderr, for the result does not name
    it."""
    in_words: str | None = None
    """Function that says what came out in a sentence, which goes to stderr."""


COMMANDS = {
    "simulate": Command(
        "lenspinn.simulate:simulate",
        "draw lens images of a recipe into a dataset, with their truth",
        "lenspinn simulate configs/simulate/deeplense_model_3.yaml --num 9000 --out data.zarr",
        "lenspinn.simulate:SimulateConfig",
    ),
    "import": Command(
        "lenspinn.data:import_deeplense",
        "read a DeepLense folder of .npy files into a dataset, executing nothing in them",
        "lenspinn import Model_III data.zarr --pixel_scale 0.08",
    ),
    "inspect": Command(
        "lenspinn.simulate.inspect:inspect_dataset",
        "draw a dataset class by class, what substructure does to it, and its truth",
        "lenspinn inspect data.zarr",
    ),
    "limit": Command(
        "lenspinn.simulate.limit:detection_limit",
        "measure how visible substructure is at all, and what an ideal classifier would reach",
        "lenspinn limit configs/limit/survey_hst.yaml --out limits/survey_hst",
        "lenspinn.simulate.limit:LimitConfig",
    ),
    "sensitivity": Command(
        "lenspinn.sensitivity:measure_sensitivity",
        "measure how small substructure may be to be found, by a network and by an ideal observer",
        "lenspinn sensitivity configs/sensitivity/survey_hst.yaml --run runs/fit --out seen/hst",
        "lenspinn.sensitivity:SensitivityConfig",
    ),
    "train": Command(
        "lenspinn.workflow:train",
        "train a network on a dataset or fresh images; the same command continues what stopped",
        "lenspinn train configs/train/lenspinn_small_demo.yaml --data data.zarr --out runs/small",
        "lenspinn.train:TrainConfig",
    ),
    "benchmark": Command(
        "lenspinn.benchmark:benchmark",
        "train and measure a grid of networks, and make its tables and figures; resumable",
        "lenspinn benchmark configs/benchmark/table1.yaml --dry_run",
    ),
    "evaluate": Command(
        "lenspinn.evaluate:evaluate_run",
        "measure a trained network on images it never saw, with intervals, tables and figures",
        "lenspinn evaluate runs/small",
        in_words="lenspinn.evaluate.chance:verdict_of",
    ),
    "compare": Command(
        "lenspinn.evaluate.compare:compare_runs",
        "compare two evaluated runs image by image, with the interval of their difference",
        "lenspinn compare runs/small runs/large --out comparison.json",
    ),
    "explain": Command(
        "lenspinn.explain:explain_run",
        "show where a trained network looks (Grad-CAM), and the source it reconstructs",
        "lenspinn explain runs/small",
    ),
    "apply": Command(
        "lenspinn.apply:apply_model",
        "classify .npy, Zarr, FITS or HDF5 images, and say whether the answer can be trusted",
        "lenspinn apply image.fits --model runs/small --out answers",
    ),
    "measure": Command(
        "lenspinn.measure:measure_image",
        "measure a lens in an image: theta_E with its error, the source, the maps, a picture",
        "lenspinn measure my_lens.fits --noise noise_map.fits --psf psf.fits --out measured",
        says_folder=True,
    ),
    "detect": Command(
        "lenspinn.detect:detect_image",
        "look for dark clumps on the arcs of a lens, and say how sure and what could be seen",
        "lenspinn detect my_lens.fits --noise noise_map.fits --psf psf.fits --out clumps",
        says_folder=True,
    ),
    "catalogue": Command(
        "lenspinn.catalogue:run_catalogue",
        "measure, search and classify the lenses of a table; resumable, on one machine or many",
        "lenspinn catalogue lenses.csv --do measure --out catalogue --workers 2",
    ),
    "release": Command(
        "lenspinn.evaluate.release:release_run",
        "write a small copy of a finished run for others to use, with a model card",
        "lenspinn release runs/small models/small",
    ),
    "export": Command(
        "lenspinn.evaluate:export_run",
        "write a trained network as an ONNX file, checked against torch on stored images",
        "lenspinn export runs/small --format onnx --out small.onnx",
    ),
    "recipes": Command(
        "lenspinn.simulate.names:describe_recipes",
        "list the recipes that can be simulated",
        "lenspinn recipes",
    ),
    "models": Command(
        "lenspinn.models.overview:describe_models",
        "list the networks, and which of them come trained",
        "lenspinn models",
    ),
    "web": Command(
        "lenspinn.web:serve_page",
        "open a local page: a lens to play with, your image, the recipes",
        "lenspinn web",
    ),
}


IMPORT_OPTIONS = ("--import", "--model.import")
"""Options of the command line alone: no file can hold them, for it may come from a stranger."""
WITH_OWN_CODE = (
    "simulate",
    "train",
    "evaluate",
    "explain",
    "apply",
    "release",
    "export",
    "limit",
    "sensitivity",
    "models",
)
OWN_CODE = "A network, loss or population of your own: --import my_file.py, which is run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    arguments
        Words after ``lenspinn``; by default the arguments of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"lenspinn {version('lenspinn')}")
        return 0
    _leave_a_core()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            _show(_call(words[0], words[1:]))
    except (LenspinnError, OSError) as error:
        return _fail(f"lenspinn: {error}", 2, debug)
    except MemoryError as error:
        return _fail(f"lenspinn: there is not enough memory for this ({error})", 2, debug)
    except KeyboardInterrupt:
        return _fail(
            "lenspinn: interrupted; the same command continues where it stopped", 130, debug
        )
    except SystemExit as stop:  # --help and --print_config of a command
        return int(stop.code or 0)
    except Exception as error:
        text = f"lenspinn: this is a bug: {type(error).__name__}: {error} (--debug shows where)"
        return _fail(text, 1, debug)
    return 0


def _call(name: str, words: list[str]) -> Any:
    """Parse the words after a command's name and call its function."""
    from lenspinn import config

    if name in FORMER_COMMANDS:
        former, name = name, FORMER_COMMANDS[name]
        _show_note(f"`lenspinn {former}` is now `lenspinn {name}`; see its --help for what changed")
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name[:80]!r}; the commands are {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    if name in WITH_OWN_CODE:
        words = _import_files(words)
    text = {
        "prog": f"lenspinn {name}",
        "description": f"{command.summary[0].upper()}{command.summary[1:]}.",
        "epilog": f"example: {command.example}",
    }
    if name in WITH_OWN_CODE:
        text["epilog"] += f". {OWN_CODE}"
    # The function itself, with all that it needs, is imported when its words are understood.
    if command.config_class is None:
        values = config.parse_call(_signature(command.function), words, **text)
        result = _load(command.function)(**values)
        if command.says_folder:
            _show_note(f"numbers, maps and picture are in {values['out']}")
    else:
        parsed = config.parse_config(_load(command.config_class), words, **text)
        result = _load(command.function)(parsed)
    if command.in_words is not None:
        _show_note(_load(command.in_words)(result))
    return result


def _import_files(words: list[str]) -> list[str]:
    """Run the files that the import options name, and return the other words."""
    left: list[str] = []
    files: list[str] = []
    following = iter(words)
    for word in following:
        key, equals, path = word.partition("=")
        if key not in IMPORT_OPTIONS:
            left.append(word)
            continue
        path = path if equals else next(following, "")
        if not path or path.startswith("--"):
            raise ConfigError(f"{key} needs a value: give {key} FILE.py")
        files.append(path)
    if files:
        from lenspinn.own_code import import_file

        for path in files:
            import_file(path)
    return left


def _load(path: str) -> Any:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _leave_a_core() -> None:
    """Give torch one thread fewer than there are cores, unless the user has set the number.

    Threads wait for each other after each step of a computation: where another process uses one of
    their cores, all of them wait. Two threads on two cores then train several times slower than one
    (`benchmarks/threads.py`).
    """
    if "torch" not in sys.modules:  # torch reads the variable once, when it is imported
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (cores or 1) - 1)))


def _signature(path: str) -> Callable[..., Any]:
    """Return a stand-in with the signature of a command's function, or else the function itself."""
    from lenspinn.signature import read_signature

    try:
        return read_signature(*path.split(":"))
    except LookupError:
        function: Callable[..., Any] = _load(path)
        return function


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "lenspinn: from a dark-matter model to an answer on a telescope image",
            "",
            "usage: lenspinn COMMAND ... [--debug]      lenspinn COMMAND --help explains a command",
            "       lenspinn --version",
            "",
            *lines,
        ]
    )


def _show(result: Any) -> None:
    """Print the result of a function: one line for each path, name or answer, as they come."""
    if result is None:
        return
    for line in result if isinstance(result, list | tuple | Iterator) else [result]:
        print(line, flush=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(_one_line(f"lenspinn: warning: {message}"), file=sys.stderr)


def _show_note(text: str) -> None:
    print(f"lenspinn: {text}", file=sys.stderr)


def _one_line(text: str) -> str:
    """Return a message as one line that a terminal can show, control characters spelt out."""
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]}..."


def _fail(text: str, status: int, debug: bool) -> int:
    with contextlib.suppress(OSError):  # e.g. stderr goes to a disk that is full
        print(_one_line(text), file=sys.stderr)
        if debug:
            traceback.print_exc()
    return status


if __name__ == "__main__":
    sys.exit(main())
