import numpy as np
import pytest

from lenspinn.data import ImageStore
from lenspinn.errors import DataError
from lenspinn.evaluate.image_set import ImageSet
from lenspinn.evaluate.predictions import FILE, read_predictions, write_predictions


def test_images_are_told_by_their_pixels_wherever_they_stand(store, tmp_path):
    images = ImageStore.open(store)
    for name, rows in (("a", [0, 2]), ("b", [2, 1])):
        (tmp_path / name).mkdir()
        some = ImageSet(images, np.array(rows), protocol="two of them", own=True)
        write_predictions(some, np.full((2, 2), 0.5), ("x", "y"), tmp_path / name)
    a, b = (read_predictions(tmp_path / name) for name in "ab")
    assert a.digests[1] == b.digests[0]
    assert len({*a.digests.tolist(), *b.digests.tolist()}) == 3
    assert a.classes == ("x", "y")
    assert a.labels.tolist() == images.labels[[0, 2]].tolist()


def test_missing_and_damaged_files_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match="lenspinn evaluate"):
        read_predictions(tmp_path)
    (tmp_path / FILE).write_bytes(b"no file of numpy")
    with pytest.raises(DataError, match="is damaged: evaluate the run again"):
        read_predictions(tmp_path)
