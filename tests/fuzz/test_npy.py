"""Random .npy files and pickles are read as an image or refused, and nothing of them is run."""

import io
import os
import pickle
import shutil
import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenspinn.data.legacy import import_deeplense
from lenspinn.data.npy import read_npy
from lenspinn.data.store import ImageStore
from lenspinn.errors import DataError

EXAMPLES, MANY = 120, 5_000
MOST_SECONDS = 2.0
MOST_MEMORY = 2**26
"""Bytes; the files below are shorter than a thousandth of it."""


def settled(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def objects(*items) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


IMAGE = np.random.default_rng(0).uniform(0.1, 1, (16, 16))
VALID = [
    IMAGE,
    IMAGE.astype(">f4"),
    np.asfortranarray(IMAGE),
    IMAGE.ravel(),
    np.stack([IMAGE] * 3, axis=-1),
    objects(*IMAGE),
    objects(IMAGE, 3e-23),
    objects(objects(*IMAGE), 1),
    IMAGE.astype(object),
]


def as_file(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


def with_header(text: str, data: bytes, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text) % 65536)
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + data


VALID_FILES = [as_file(array, version) for array in VALID for version in ((1, 0), (3, 0))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file with some bytes changed, taken out, doubled or cut off."""
    content = bytearray(draw(st.sampled_from(VALID_FILES)))
    for _ in range(draw(st.integers(1, 4))):
        # The beginning decides how the rest is read.
        end = draw(st.sampled_from([12, 128, 400, len(content)]))
        place = draw(st.integers(0, min(end, len(content))))
        match draw(st.sampled_from(["change", "insert", "remove", "double", "cut"])):
            case "change" if place < len(content):
                content[place] = draw(st.integers(0, 255))
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=9))
            case "remove":
                del content[place : place + draw(st.integers(1, 40))]
            case "double":
                content[place:place] = content[place : place + draw(st.integers(1, 200))]
            case "cut":
                del content[place:]
    return bytes(content)


headers = st.builds(
    with_header,
    st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}{}".format,
        st.sampled_from(
            ["'<f8'", "'|O'", "'>c16'", "'<M8[s]'", "'|S9'", "'|V8'", "[('a', '<f8')]", "'<f16'"]
        )
        | st.from_regex(r"\A'[<>|]?[biufcmMOSUVaqz?][0-9]{0,12}'\Z"),
        st.sampled_from(["False", "True", "None", "1"]),
        st.lists(st.integers(-2, 2**70) | st.integers(0, 16), max_size=10).map(
            lambda sizes: str(tuple(sizes))
        )
        | st.sampled_from(["(" * 3000, "-" * 3000 + "1", "12", "[16, 16]", "(16, 16)", "(1e3,)"]),
        st.sampled_from([", }\n", "}", "", "\0}", ", 'descr': '|O'}", "}}", " " * 12_000 + "}"]),
    ),
    st.sampled_from([b"", IMAGE.tobytes(), pickle.dumps(objects(IMAGE, 1)), bytes(4000)]),
    st.integers(0, 4),
)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from(
        [f"c{module}\n{attribute}\n".encode(), text(module) + text(attribute) + b"\x93"]
    )


def programs(mark: str) -> st.SearchStrategy[bytes]:
    """Pickles of any instructions, among them those that would leave a mark if they were run."""
    command = text(f"touch {mark}") + b"\x85"
    code = text(f"open({mark!r}, 'w')") + b"\x85"
    evil = [
        (("os", "system"), command),
        (("posix", "system"), command),
        (("builtins", "eval"), code),
        (("builtins", "exec"), code),
        (("__builtin__", "eval"), code),
        (("numpy.testing._private.utils", "runstring"), code),
    ]
    runs = st.one_of(
        [name(*where).map(lambda found, words=words: found + words + b"R") for where, words in evil]
    )
    classes = st.one_of(
        name("numpy", "ndarray"),
        name("numpy", "dtype"),
        name("numpy.core.multiarray", "_reconstruct"),
        name("numpy._core.multiarray", "scalar"),
        name("numpy._core.numeric", "_frombuffer"),
        name("copyreg", "_reconstructor"),
        name("builtins", "getattr"),
        name("numpy", "load"),
    )
    room = st.integers(0, 2**32 - 1).map(lambda count: struct.pack("<I", count))
    asking = st.builds(
        bytes.__add__, st.sampled_from([b"r", b"j", b"B", b"X", b"T", b"\x8b", b"J"]), room
    )
    words = st.sampled_from([text("f8"), text("O8"), text("<"), b"C\x08AAAAAAAA"])
    values = st.sampled_from(
        [b"N", b"\x88", b"K\x01", b"M\x10\x27", b"]", b"}", b")", b"(", b"\x8a\x09" + b"9" * 9]
    )
    codes = b"0123adebhijlopqrstuQRU\x80\x85\x86\x87\x94"
    steps = st.sampled_from([bytes([code]) for code in codes])
    whole = st.sampled_from([pickle.dumps(array, protocol=4)[:-1] for array in VALID[5:]])
    parts = st.one_of(
        values, words, steps, steps, classes, asking, runs, whole, st.binary(max_size=6)
    )
    return st.lists(parts, max_size=25).map(lambda found: b"".join(found) + b".")


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def image_or_refusal(path: Path) -> np.ndarray | str:
    try:
        return read_npy(path)
    except DataError as error:
        return str(error)


def check(path: Path, content: bytes) -> None:
    """The file is an image or refused in one sentence that names it, and leaves no mark."""
    path.write_bytes(content)
    began = time.process_time()
    with little_memory():
        found = image_or_refusal(path)
    assert time.process_time() - began < MOST_SECONDS
    if isinstance(found, str):
        assert found.startswith(str(path))
        assert "\n" not in found
    else:
        assert (found.ndim, found.dtype) == (2, np.float64)
    assert os.listdir(path.parent) == [path.name]


def check_many(folder: Path, contents: st.SearchStrategy[bytes], examples: int) -> None:
    @settled(examples)
    @given(contents)
    def run(content: bytes) -> None:
        check(folder / "a.npy", content)

    run()


def object_files(folder: Path) -> st.SearchStrategy[bytes]:
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n"
    return programs(str(folder / "mark")).map(lambda pickled: with_header(header, pickled))


def test_damaged_files_are_images_or_refused(tmp_path):
    check_many(tmp_path, mutated(), EXAMPLES)


def test_files_of_any_header_are_images_or_refused(tmp_path):
    check_many(tmp_path, headers, EXAMPLES)


def test_pickles_of_any_instructions_are_refused_and_not_run(tmp_path):
    check_many(tmp_path, object_files(tmp_path), 2 * EXAMPLES)


@pytest.mark.slow
def test_many_files_are_images_or_refused(tmp_path):
    check_many(tmp_path, mutated() | headers | object_files(tmp_path), MANY)


def test_a_pickle_that_would_run_leaves_a_mark_where_it_is_run(tmp_path):
    """Without this, the tests above could not fail."""
    found = []

    @settled(200)
    @given(programs(str(tmp_path / "mark")))
    def run(pickled: bytes) -> None:
        if b"posix" in pickled and pickled.endswith(b"\x85R."):
            found.append(pickled)

    run()
    assert found


labels = st.sampled_from(
    [
        np.arange(4) % 2,
        np.zeros(4, int),
        np.array([0, 1, 2, 3]),
        np.array([0, 1, 9, -1]),
        np.array([0, 1, np.nan, 0.5]),
        np.array([0, 1, 0]),
        np.array(["a", "b", "a", "b"]),
        np.array([0, 1, 0, 1], dtype="M8[s]"),
        np.array([0, 1, 0, 1], dtype=object),
        np.array(1),
        np.zeros((4, 2, 2)),
        np.eye(4)[[0, 1, 0, 1]],
        np.array([2**63, 0, 1, 2], dtype=np.uint64),
    ]
)
stacks = st.sampled_from(
    [
        np.stack([IMAGE] * 4),
        np.stack([IMAGE[:, :11]] * 4),
        np.stack([IMAGE.ravel()] * 4),
        np.full((4, 16, 16), np.nan),
        np.full((4, 16, 16), 1e300),
        np.zeros((4, 16, 16), bool),
        np.zeros((4, 0, 12)),
        np.zeros((4, 2, 16, 16)),
        np.array(1.0),
        np.stack([IMAGE] * 4).astype(object),
    ]
)


def is_imported(folder: Path) -> bool:
    """Import a folder; a refusal is one sentence and writes nothing."""
    out = folder.parent / "out.zarr"
    try:
        import_deeplense(folder, out, pixel_scale=0.05, progress=False)
    except DataError as error:
        refusal = str(error)
    else:
        assert len(ImageStore.open(out)) > 0
        shutil.rmtree(out)
        return True
    assert "\n" not in refusal
    assert os.listdir(folder.parent) == [folder.name]
    return False


def test_packed_arrays_are_imported_or_refused_in_a_sentence(tmp_path):
    folder = tmp_path / "packed"
    folder.mkdir()
    seen = set()

    @settled(40)
    @given(stacks, labels)
    def run(images: np.ndarray, numbers: np.ndarray) -> None:
        np.save(folder / "images.npy", images, allow_pickle=True)
        np.save(folder / "labels.npy", numbers, allow_pickle=True)
        seen.add(is_imported(folder))

    run()
    assert seen == {True, False}


def test_folders_with_a_damaged_file_are_imported_or_refused_in_a_sentence(tmp_path):
    folder = tmp_path / "classes"
    for of_class in ("cdm", "no_sub"):
        (folder / of_class).mkdir(parents=True)
        np.save(folder / of_class / "0.npy", IMAGE)
    seen = set()

    @settled(40)
    @given(mutated())
    def run(content: bytes) -> None:
        (folder / "cdm" / "1.npy").write_bytes(content)
        seen.add(is_imported(folder))

    run()
    assert False in seen
