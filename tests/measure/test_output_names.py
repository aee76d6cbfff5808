import json
from pathlib import Path

import pytest

from lenspinn.errors import DataError
from lenspinn.measure.output_names import origin_of, output_names, unique_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.fits", "x/b.npy"], ["a", "b"]),
        (["x/data.fits", "y/data.fits"], ["x_data", "y_data"]),
        (["p/x/d.fits", "q/x/d.fits", "e.npy"], ["p_x_d", "q_x_d", None]),
        (["x/a.fits.gz", "x/b.c.npy"], ["a", "b.c"]),
        (["x/a.fits", "x/a.npy"], ["x_a_fits", "x_a_npy"]),
    ],
)
def test_names_are_short_and_unique(paths: list[str], names: list[str | None]) -> None:
    found = unique_names([Path("/", path) for path in paths])
    assert len(set(found)) == len(paths)
    for name, expected in zip(found, names, strict=True):
        assert expected is None or name.endswith(expected)


def written(out: Path, name: str, image: Path, command: str = "measure") -> None:
    out.mkdir(exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps({"origin": origin_of(command, image, out)}))


def test_the_same_image_keeps_its_name(tmp_path: Path) -> None:
    written(tmp_path / "out", "data", tmp_path / "a" / "data.fits")
    assert output_names([tmp_path / "a" / "data.fits"], tmp_path / "out", "measure") == ["data"]


def test_another_image_of_that_name_gets_its_folder_in_front(tmp_path: Path) -> None:
    written(tmp_path / "out", "data", tmp_path / "a" / "data.fits")
    other = tmp_path / "b" / "data.fits"
    assert output_names([other], tmp_path / "out", "measure") == ["b_data"]
    written(tmp_path / "out", "b_data", other)
    assert output_names([other], tmp_path / "out", "measure") == ["b_data"]


def test_an_image_is_told_by_its_place_wherever_a_command_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    written(Path("../out"), "data", Path("data.fits"))
    monkeypatch.chdir(tmp_path / "b")
    assert output_names([Path("data.fits")], Path("../out"), "measure") == ["b_data"]
    assert output_names([Path("../a/data.fits")], Path("../out"), "measure") == ["data"]


def test_files_of_another_command_are_not_replaced(tmp_path: Path) -> None:
    image = tmp_path / "a" / "data.fits"
    written(tmp_path / "out", "data", image)
    assert output_names([image], tmp_path / "out", "apply") == ["a_data"]


@pytest.mark.parametrize(
    "there", [{"data.png": b"mine"}, {"data.json": b"[" * 100_000}, {"data.json": b"{}"}]
)
def test_files_of_somebody_else_are_not_replaced(tmp_path: Path, there: dict[str, bytes]) -> None:
    for name, content in there.items():
        (tmp_path / name).write_bytes(content)
    (name,) = output_names([tmp_path / "a" / "data.fits"], tmp_path, "measure")
    assert name == "a_data"


def test_files_of_a_command_under_its_former_name_are_its_own(tmp_path: Path) -> None:
    image = tmp_path / "a" / "data.fits"
    written(tmp_path / "out", "data", image, "fit")
    assert output_names([image], tmp_path / "out", "measure") == ["data"]


def test_the_image_itself_is_never_replaced(tmp_path: Path) -> None:
    image = tmp_path / "lens.fits"
    image.write_bytes(b"an image")
    suffixes = (".json", ".fits")
    other = f"{tmp_path.name}_lens"
    assert output_names([image], tmp_path, "measure", suffixes) == [other]
    written(tmp_path, "lens", image, "measure")
    assert output_names([image], tmp_path, "measure", suffixes) == [other]
    assert output_names([image], tmp_path, "measure") == ["lens"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="is a file; name a folder"):
        output_names([tmp_path / "a.fits"], tmp_path / "out", "measure")


def test_without_a_free_name_nothing_is_replaced(tmp_path: Path) -> None:
    image = tmp_path / "data.fits"
    parts = image.absolute().with_suffix("").parts[1:]
    for depth in range(1, len(parts) + 1):
        (tmp_path / f"{'_'.join(parts[-depth:])}.png").touch()
    with pytest.raises(DataError, match="name another folder by out"):
        output_names([image], tmp_path, "measure")
