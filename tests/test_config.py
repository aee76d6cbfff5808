import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lenspinn.config import command_line, dotted, parse_call, parse_config, to_dict
from lenspinn.errors import ConfigError
from lenspinn.train import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Optics:
    """A nested configuration."""

    psf_fwhm: float = 0.08
    """Width of the point spread function, arcsec."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A configuration."""

    data: Path
    """Where the images are."""
    split: tuple[float, float] = (0.8, 0.2)
    """Fractions."""
    optics: Optics = field(default_factory=Optics)
    """The instrument."""
    options: dict[str, int | float | str] = field(default_factory=dict)
    """Anything."""

    def __post_init__(self) -> None:
        if sum(self.split) != 1:
            raise ConfigError(f"split must sum to 1, got {self.split}")


def observe(images: list[Path], *, zoom: float = 1.0) -> None:
    """Observe.

    Parameters
    ----------
    images
        Images.
    zoom
        How much larger.
    """


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text("data: a.zarr\noptics: {psf_fwhm: 0.1}\noptions: {num_pix: 32}\n")
    return path


def test_a_file_fills_the_fields(yaml_file: Path) -> None:
    job = parse_config(Job, [str(yaml_file)])
    assert job == Job(data=Path("a.zarr"), optics=Optics(psf_fwhm=0.1), options={"num_pix": 32})


def test_dotted_overrides_win_over_the_file(yaml_file: Path) -> None:
    words = [str(yaml_file), "--optics.psf_fwhm", "0.2", "--options.num_pix=64"]
    job = parse_config(Job, words)
    assert job.optics.psf_fwhm == 0.2
    assert job.options == {"num_pix": 64}


def test_defaults_need_no_file() -> None:
    assert parse_config(Job, ["--data", "b.zarr"]) == Job(data=Path("b.zarr"))


def test_a_dash_in_an_option_reads_as_an_underscore() -> None:
    job = parse_config(Job, ["--data=b-c.zarr", "--optics.psf-fwhm", "0.2"])
    assert (job.data, job.optics.psf_fwhm) == (Path("b-c.zarr"), 0.2)


def test_an_unknown_key_in_a_file_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("data: a.zarr\noptics: {psf_fwhn: 0.1}\n")
    with pytest.raises(ConfigError, match=r"optics\.psf_fwhn; did you mean 'optics\.psf_fwhm'"):
        parse_config(Job, [str(path)])


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown option --dtaa; did you mean 'data'"):
        parse_config(Job, ["--dtaa", "x"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml cannot be read as a configuration"),
        (["--data", "x", "--optics.psf_fwhm", "wide"], "optics.psf_fwhm.*float"),
        ([], "required.*data"),
        (["--data", "x", "--split", "[0.9, 0.9]"], "split must sum to 1"),
    ],
)
def test_what_cannot_be_used_gives_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(Job, words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1, 2", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"job\.yaml"):
        parse_config(Job, [str(path)])


def test_a_function_takes_its_positional_arguments_by_position() -> None:
    parsed = parse_call(observe, ["a.fits", "b.fits", "--zoom", "2"])
    assert parsed == {"images": [Path("a.fits"), Path("b.fits")], "zoom": 2.0}


def test_a_positional_argument_with_a_default_may_be_left_out() -> None:
    def draw(store: Path, picture: Path | None = None) -> None:
        pass

    assert parse_call(draw, ["a.zarr"]) == {"store": Path("a.zarr"), "picture": None}
    assert parse_call(draw, ["a", "b"]) == {"store": Path("a"), "picture": Path("b")}


def test_an_unknown_option_of_a_function_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'zoom'"):
        parse_call(observe, ["a.fits", "--zom", "2"])


def test_to_dict_gives_plain_values() -> None:
    job = Job(data=Path("a.zarr"))
    assert to_dict(job)["data"] == "a.zarr"
    assert to_dict(job)["split"] == [0.8, 0.2]
    assert to_dict(job)["optics"] == {"psf_fwhm": 0.08}


def test_a_command_line_gives_the_configuration_back() -> None:
    job = parse_config(Job, ["--data", "a b.zarr", "--options.num_pix", "32"])
    command = command_line("observe", job)
    name, *words = shlex.split(command.removeprefix("lenspinn "))
    assert (name, parse_config(Job, words)) == ("observe", job)


def test_dotted_flattens_nested_keys() -> None:
    nested = {"model": {"name": "small", "options": {"transform": "paper"}}, "lr": 0.1, "empty": {}}
    assert dotted(nested) == {"model.name": "small", "model.options.transform": "paper", "lr": 0.1}


def switch(name: str, *, dry_run: bool = False, jobs: int = 1) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("words", "dry_run"),
    [
        (["x", "--dry-run"], True),
        (["x", "--dry_run", "--jobs", "2"], True),
        (["x", "--dry_run", "false"], False),
        (["x", "--dry_run=true"], True),
        (["x"], False),
    ],
)
def test_an_option_that_is_true_or_false_may_stand_alone(words: list[str], dry_run: bool) -> None:
    assert parse_call(switch, words)["dry_run"] is dry_run


def test_a_name_where_a_file_is_meant_is_told_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match=r"write --model.name lenspinn_small"):
        parse_config(TrainConfig, ["--model", "lenspinn_small", "--data", "a.zarr", "--out", "b"])
