from collections.abc import Callable

import pytest

from lenspinn.simulate import list_recipes
from lenspinn.web.gallery import GalleryEntry, recipe_gallery


@pytest.fixture(scope="module")
def entries() -> list[GalleryEntry]:
    return recipe_gallery()


def test_every_recipe_has_a_picture_but_the_one_that_needs_files(
    entries: list[GalleryEntry],
) -> None:
    assert [entry.name for entry in entries] == list_recipes()
    bare = [entry.name for entry in entries if entry.picture is None]
    assert bare == ["survey/hst_cosmos"]
    drawn = [entry.picture for entry in entries if entry.picture is not None]
    assert len(set(drawn)) == len(drawn)


def test_every_command_is_understood(
    entries: list[GalleryEntry], is_understood: Callable[[str], bool]
) -> None:
    for entry in entries:
        if entry.picture is not None:
            assert is_understood(entry.command.removeprefix("lenspinn "))
