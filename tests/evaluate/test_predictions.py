from types import SimpleNamespace

import numpy as np
import pytest

from lenspinn.errors import DataError
from lenspinn.evaluate.predictions import FILE, read_predictions, write_predictions

IMAGES = np.arange(3 * 4, dtype=np.float32).reshape(3, 1, 2, 2)


def a_set(rows):
    store = SimpleNamespace(images=lambda wanted: IMAGES[wanted])
    return SimpleNamespace(store=store, indices=np.array(rows), labels=np.array(rows) % 2)


def test_images_are_told_by_their_pixels_wherever_they_stand(tmp_path):
    chances = np.full((2, 2), 0.5)
    for name, rows in (("a", [0, 2]), ("b", [2, 1])):
        (tmp_path / name).mkdir()
        write_predictions(a_set(rows), chances, ("x", "y"), tmp_path / name)
    a, b = (read_predictions(tmp_path / name) for name in "ab")
    assert a.digests[1] == b.digests[0]
    assert len({*a.digests.tolist(), *b.digests.tolist()}) == 3
    assert a.classes == ("x", "y")
    assert a.labels.tolist() == [0, 0]


def test_missing_and_damaged_files_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match="lenspinn evaluate"):
        read_predictions(tmp_path)
    (tmp_path / FILE).write_bytes(b"no file of numpy")
    with pytest.raises(DataError, match="is damaged: evaluate the run again"):
        read_predictions(tmp_path)
