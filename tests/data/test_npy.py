import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.npy import (
    is_stack,
    open_stack,
    read_header,
    read_image_and_number,
    read_npy,
    single_image,
)
from lenspinn.errors import DataError

MASS = 3.2e-23


def lens(seed: int = 0, num_pix: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, (num_pix, num_pix))


def objects(*items) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def save(path: Path, content) -> Path:
    np.save(path, content, allow_pickle=True)
    return path


def with_header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    header = text.encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def described(descr: str = "'<f8'", shape: str = "(16, 16)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize("file", ["nosub.npy", "cdm.npy"])
def test_the_authors_files_are_read(shared_data, file):
    path = shared_data / "deeplense_published" / file
    np.testing.assert_array_equal(read_npy(path), np.load(path, allow_pickle=False))


@pytest.mark.parametrize("dtype", ["float32", ">f8", "float16", "uint16", "int64"])
@pytest.mark.parametrize(
    "shape", [(16, 16), (1, 16, 16), (16, 16, 1), (1, 16, 16, 1), (1, 1, 16, 16), (256,), (1, 256)]
)
def test_one_image_of_numbers_is_read_in_every_shape(tmp_path, dtype, shape):
    image = (1000 * lens()).astype(dtype)
    found = read_npy(save(tmp_path / "a.npy", image.reshape(shape)))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_and_order_of_the_format_is_read(tmp_path, version, order):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asarray(lens(), order=order), version=version)
    np.testing.assert_array_equal(read_npy(path), lens())


def test_headers_that_other_programs_write_are_read(tmp_path):
    path = tmp_path / "a.npy"
    header = '{"shape":(16L,16L),"fortran_order":False,"descr":"<f8"}'
    path.write_bytes(with_header(header, lens().tobytes()))
    np.testing.assert_array_equal(read_npy(path), lens())


@pytest.mark.parametrize("axis", [0, 2])
def test_three_equal_channels_are_one_image(tmp_path, axis):
    channels = np.stack([lens()] * 3, axis=axis)
    np.testing.assert_array_equal(read_npy(save(tmp_path / "a.npy", channels)), lens())


ROWS = {
    "rows": objects(*lens()),
    "numbers": lens().astype(object),
    "whole numbers": np.arange(256).reshape(16, 16).astype(object),
    "an image alone": objects(lens()),
    "flat": objects(lens().ravel()),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_object_array_of_rows_or_numbers_is_one_image(tmp_path, name):
    expected = lens() if "whole" not in name else np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(read_npy(save(tmp_path / "a.npy", ROWS[name])), expected)


@pytest.mark.parametrize("image", [lens(), lens().ravel(), objects(*lens())])
@pytest.mark.parametrize("number", [0, 2.0, MASS, np.float32(0.5), np.array(MASS), True])
def test_an_image_comes_with_its_number(tmp_path, image, number):
    found = read_image_and_number(save(tmp_path / "a.npy", objects(image, number)))
    np.testing.assert_array_equal(found[0], lens())
    assert found[1] == float(number)


def test_an_image_alone_has_no_number(tmp_path):
    assert read_image_and_number(save(tmp_path / "a.npy", lens()))[1] is None


@pytest.mark.parametrize("number", [-1, np.inf, np.nan, 1.5, 10**400, 100, -MASS])
def test_a_number_that_is_neither_label_nor_mass_is_refused(tmp_path, number):
    with pytest.raises(DataError, match=r"neither a label .* nor the mass"):
        read_npy(save(tmp_path / "a.npy", objects(lens(), number)))


def truncated() -> bytes:
    file = io.BytesIO()
    np.save(file, lens())
    return file.getvalue()[:-1]


BAD_FILES = {
    "empty": b"",
    "text": b"text",
    "a pickle": pickle.dumps(lens()),
    "a petabyte": with_header(described(shape="(10000000, 10000000)"), b"few bytes"),
    "beyond all numbers": with_header(described(shape=f"({'9' * 19}, {'9' * 19})"), b"x"),
    "beyond 64 bits": with_header(described(shape=f"({'9' * 5000},)"), b"x"),
    "negative": with_header(described(shape="(-16, 16)"), lens().tobytes()),
    "truncated": truncated(),
    "two arrays": truncated() + b"x" + truncated() + b"x",
    "cut in its header": truncated()[:40],
    "a long header": with_header(described() + " " * 20_000, lens().tobytes(), version=2),
    "a header of gigabytes": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{}",
    "nested": with_header("(" * 9_000, version=2),
    "negated": with_header(described(shape="(" + "-" * 9_000 + "1,)"), version=2),
    "code": with_header(described(shape="(__import__('os').system('true'),)"), version=2),
    "version": with_header(described(), lens().tobytes(), version=4),
    "a field more": with_header(described()[:-1] + "'more': 1}", lens().tobytes()),
    "no shape": with_header("{'descr': '<f8', 'fortran_order': False}"),
    "no dictionary": with_header(described()[1:-1], lens().tobytes()),
    "no order": with_header(described(order="None"), lens().tobytes()),
    "nine axes": with_header(described(shape="(1, 1, 1, 1, 1, 1, 1, 16, 16)"), lens().tobytes()),
    "records": with_header(described("[('a', '<f8')]"), lens().tobytes()),
    "long doubles": with_header(described("'<f16'"), 2 * lens().tobytes()),
    "unknown type": with_header(described("'<q99'"), lens().tobytes()),
    "too many pixels": with_header(described("'|u1'", "(4097, 4097)"), bytes(4097**2)),
    "objects without a pickle": with_header(described("'|O'", "(2,)")),
    "objects of another shape": with_header(
        described("'|O'", "(3,)"), pickle.dumps(objects(lens(), MASS), protocol=4)
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_npy_file_is_refused(tmp_path, name):
    (tmp_path / "a.npy").write_bytes(BAD_FILES[name])
    with pytest.raises(DataError, match=r"a\.npy is not a \.npy file lenspinn reads: .*; "):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.stack([lens(0), lens(1), lens(2)]), r"shape \(3, 16, 16\), three channels that differ"),
        (np.stack([lens(0), lens(1)]), r"shape \(2, 16, 16\), not that of one image"),
        (np.ones(8), r"shape \(8,\), a flat array that is no square"),
        (np.ones(257), r"a flat image of 16 x 16 pixels and one number"),
        (np.array(1.0), "a flat array|not that of one image"),
        (np.ones((0, 16)), "is empty"),
        (np.array(["a"]), "holds text"),
        (np.array([b"a"]), "holds text"),
        (np.array(["2020"], "M8[D]"), "holds dates"),
        (np.array([1], "m8[s]"), "holds spans of time"),
        (lens().astype(complex), "holds complex numbers"),
        (lens() > 0.5, "holds true and false"),
        (objects("image", MASS), "not an array or a number"),
        (objects(lens(), "mass"), "not an array or a number"),
        (objects(1, 2, None), "not an array or a number"),
        (objects(lens(), lens(), lens()), "an array of 3 objects"),
        (objects(lens()[0], lens()[1], lens()[2, :5]), "an array of 3 objects"),
        (objects(MASS, lens()), "an array of 2 objects"),
        (objects(lens(), lens()), "an array of 2 objects"),
        (np.array({"image": lens()}), "instruction EMPTY_DICT"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"a\.npy .*{message}"):
        read_npy(save(tmp_path / "a.npy", content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.npy cannot be read: No such file"):
        read_npy(tmp_path / "nowhere.npy")


def test_a_name_of_two_lines_makes_one_sentence(tmp_path):
    with pytest.raises(DataError) as refusal:
        read_npy(tmp_path / "a\nb.npy")
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npy .*a pipe or device"):
        read_npy(tmp_path / "a.npy")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_npy(tmp_path)


def test_devices_are_refused():
    if not Path("/dev/zero").exists():
        pytest.skip("the system has no /dev/zero")
    with pytest.raises(DataError, match="a pipe or device"):
        read_npy("/dev/zero")


def test_the_image_may_be_written_to(tmp_path):
    image = read_npy(save(tmp_path / "a.npy", objects(lens(), MASS)))
    image[0, 0] = 5
    assert image[0, 0] == 5


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((16, 16), False),
        ((16, 16, 3), False),
        ((3, 16, 16), False),
        ((5, 16, 16), True),
        ((2, 1, 16, 16), True),
        ((1, 1, 16, 16), False),
        ((9, 256), False),
    ],
)
def test_many_images_in_one_array_are_told_by_its_shape(tmp_path, shape, expected):
    assert is_stack(read_header(save(tmp_path / "a.npy", np.zeros(shape)))) is expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_stack_is_mapped_and_not_read(tmp_path, order):
    values = np.asarray(np.random.default_rng(0).normal(size=(5, 4, 4)), order=order)
    found = open_stack(save(tmp_path / "a.npy", values))
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (objects(lens(), lens()), "holds objects"),
        (np.array(3), "is empty"),
        (np.zeros((0, 4)), "is empty"),
        (np.zeros((1, 4097, 4097), "u1"), "too large"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        open_stack(save(tmp_path / "a.npy", content))


def test_one_pixel_is_no_image():
    with pytest.raises(DataError, match=r"it has shape \(1,\), a flat array that is no square"):
        single_image(np.ones((1, 1)), "it")
