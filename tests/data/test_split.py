import numpy as np
import pytest

from lenspinn.data.split import split_rows
from lenspinn.errors import ConfigError

# Of 30 images of three classes, by the code of version 0.1.0 before galaxies were grouped.
PARTS_OF_SEED_7 = {"validation": [14, 15, 19], "test": [16, 17, 27]}

WHOLE_GALAXIES = 0.03  # Of a share: 60 galaxies are dealt, each 1/60 of the images.


def labels_and_galaxies(num_images: int, num_galaxies: int) -> tuple[np.ndarray, np.ndarray]:
    galaxies = np.random.default_rng(2).integers(num_galaxies, size=num_images)
    return np.arange(num_images) % 3, galaxies.astype(np.float64)


def test_images_without_galaxies_are_split_as_ever():
    parts = split_rows(np.arange(30) % 3, (0.8, 0.1, 0.1), seed=7)
    for name, rows in PARTS_OF_SEED_7.items():
        np.testing.assert_array_equal(parts[name], rows)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(30))


@pytest.mark.parametrize("num_galaxies", [10, 60, 100_000])
def test_a_galaxy_is_in_one_part_only(num_galaxies):
    labels, galaxies = labels_and_galaxies(3000, num_galaxies)
    parts = split_rows(labels, (0.6, 0.2, 0.2), seed=1, galaxies=galaxies)
    assert list(parts) == ["train", "validation", "test"]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(3000))
    in_parts = [set(galaxies[rows]) for rows in parts.values()]
    assert sum(map(len, in_parts)) == len(set.union(*in_parts))


def test_galaxies_are_dealt_so_that_classes_keep_their_proportions():
    labels, galaxies = labels_and_galaxies(6000, 60)
    fractions = (0.7, 0.2, 0.1)
    parts = split_rows(labels, fractions, seed=1, galaxies=galaxies)
    for rows, fraction in zip(parts.values(), fractions, strict=True):
        counts = np.bincount(labels[rows], minlength=3)
        np.testing.assert_allclose(counts / 2000, fraction, atol=WHOLE_GALAXIES)


def test_where_each_image_has_its_own_galaxy_sizes_are_exact():
    labels = np.arange(300) % 3
    parts = split_rows(labels, (0.8, 0.1, 0.1), seed=1, galaxies=np.arange(300))
    for rows, number in zip(parts.values(), (80, 10, 10), strict=True):
        np.testing.assert_array_equal(np.bincount(labels[rows]), [number] * 3)


def test_the_split_of_galaxies_is_a_function_of_the_seed():
    labels, galaxies = labels_and_galaxies(300, 20)
    first, again, other = (split_rows(labels, (0.8, 0.1, 0.1), s, galaxies) for s in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["test"], other["test"])


def test_a_fraction_of_zero_gets_no_galaxy():
    labels, galaxies = labels_and_galaxies(300, 20)
    assert len(split_rows(labels, (0.9, 0.1, 0.0), 0, galaxies)["test"]) == 0


def test_too_few_galaxies_for_the_parts_are_refused():
    labels, galaxies = labels_and_galaxies(300, 2)
    with pytest.raises(ConfigError, match=r"leaves no galaxy for (validation|test).* only 2 gal"):
        split_rows(labels, (0.8, 0.1, 0.1), 0, galaxies)


@pytest.mark.parametrize("split", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_that_are_none_are_refused(split):
    with pytest.raises(ConfigError, match="three fractions that add up to 1"):
        split_rows(np.zeros(10, dtype=np.int64), split, seed=0)
