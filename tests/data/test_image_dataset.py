import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from lenspinn.data.image_dataset import ImageDataset
from lenspinn.errors import StoreError

NUMBER = 6


class InMemory(ImageDataset):
    info = SimpleNamespace(classes=("a", "b"))
    labels = np.array([0, 1, 0, 1, 0, 1])
    truth = {"theta_E": np.linspace(1, 2, NUMBER), "masses": np.zeros((NUMBER, 3))}  # noqa: RUF012

    def __len__(self):
        return NUMBER

    def images(self, rows):
        every = np.arange(NUMBER * 4, dtype=np.float32).reshape(NUMBER, 1, 2, 2)
        return every[rows]


def test_torch_makes_batches_of_it():
    images = InMemory()
    assert isinstance(images, Dataset)
    batches = list(DataLoader(images, batch_size=4))
    assert [tuple(image.shape) for image, _ in batches] == [(4, 1, 2, 2), (2, 1, 2, 2)]
    assert torch.cat([label for _, label in batches]).tolist() == images.labels.tolist()


def test_single_images_are_taken_from_the_end_too_and_a_loop_ends():
    images = InMemory()
    assert torch.equal(images[-1][0], images[NUMBER - 1][0])
    assert len(list(images)) == NUMBER
    with pytest.raises(IndexError, match="image 6 of a dataset of 6"):
        images[NUMBER]


def test_arrays_hold_all_images():
    images, labels = InMemory().to_numpy()
    assert images.shape == (NUMBER, 1, 2, 2)
    assert labels.shape == (NUMBER,)


def test_a_table_needs_pandas_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(StoreError, match="pip install pandas"):
        InMemory().to_pandas()


def test_a_table_has_what_is_one_number_an_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    table = InMemory().to_pandas()
    assert list(table) == ["class", "label", "theta_E"]
    assert list(table["class"][:2]) == ["a", "b"]
