"""The tests mirror the package."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "lenspinn"
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_mirror_among_the_tests(module: Path) -> None:
    mirror = REPOSITORY / "tests" / module.parent / f"test_{module.name}"
    assert mirror.is_file(), f"write {mirror.relative_to(REPOSITORY)}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_is_short_enough_to_read(module: Path) -> None:
    longest = 400
    assert len((PACKAGE / module).read_text().splitlines()) <= longest
