import json
from pathlib import Path

import pytest

from lenspinn.data import read_fits
from lenspinn.errors import DataError
from lenspinn.measure.image_fits import ImageFits
from lenspinn.web import Finding, study_image
from lenspinn.web.samples import SampleFiles


@pytest.fixture(scope="module")
def studied(
    sample_files: SampleFiles, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Finding], list[tuple[float, str]], Path]:
    """Findings, what was said on the way, and the folder."""
    out, said = tmp_path_factory.mktemp("own"), []
    findings = study_image(
        sample_files.image,
        out,
        noise=sample_files.noise,
        psf=sample_files.psf,
        mocks=0,
        injected=0,
        progress=lambda share, text: said.append((share, text)),
    )
    return list(findings), said, out


def test_a_lens_is_measured_asked_about_and_searched(studied) -> None:
    findings, said, _ = studied
    assert [found.job for found in findings] == ["measure", "apply", "detect"]
    measure, apply, detect = (found.sentence for found in findings)
    assert measure.startswith("theta_E 1.4") or measure.startswith("theta_E 1.5")
    assert apply.startswith("lenspinn_fit_hst: not answered")
    assert "its chance not measured (no mocks)" in detect
    shares = [share for share, _ in said]
    assert shares == sorted(shares)


def test_files_are_those_of_the_commands_and_name_no_place_of_this_machine(studied) -> None:
    findings, _, out = studied
    for found in findings:
        assert found.picture is not None
        assert found.picture.read_bytes().startswith(b"\x89PNG")
        (record,) = (json.loads(path.read_text()) for path in found.files if path.suffix == ".json")
        assert record["image"] == "image.fits"
        assert str(out) not in json.dumps(record)
    assert read_fits(out / "measured.fits", hdu="MODEL").data.ndim == 2


def test_a_bad_file_is_one_sentence_that_names_no_place(tmp_path: Path) -> None:
    bad, out = tmp_path / "<b>$x$.fits", tmp_path / "out"
    bad.write_bytes(b"not a picture of the sky")
    out.mkdir()
    with pytest.raises(DataError, match=r"^image\.fits ") as caught:
        list(study_image(bad, out))
    assert str(tmp_path) not in str(caught.value)


def test_one_job_that_cannot_be_done_leaves_the_others(
    sample_files: SampleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenspinn.web import own_image

    def refuse(*_: object, **__: object) -> None:
        raise DataError(f"{tmp_path}/image.fits is too faint")

    monkeypatch.setattr(ImageFits, "fitted", refuse)
    monkeypatch.setattr(own_image, "telescope_networks", lambda: ())
    found = list(study_image(sample_files.image, tmp_path, psf=sample_files.psf))
    assert [each.sentence for each in found] == ["Not possible: image.fits is too faint"] * 2
    assert not any(each.files for each in found)
