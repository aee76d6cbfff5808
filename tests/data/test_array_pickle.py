import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.array_pickle import MAX_STEPS, load_objects
from lenspinn.errors import DataError

MASS = 3.2e-23
SECONDS = 5.0


def lens(num_pix: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 1, (num_pix, num_pix))


def objects(*items) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def as_numpy_1(pickled: bytes) -> bytes:
    """The same pickle as numpy 1 writes it, whose modules have shorter names."""
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    assert pickled.count(bytes([0x8C, len(new)]) + new) == 1
    pickled = pickled.replace(bytes([0x8C, len(new)]) + new, bytes([0x8C, len(old)]) + old)
    (frame,) = struct.unpack("<Q", pickled[3:11])
    return pickled[:3] + struct.pack("<Q", frame - 1) + pickled[11:]


@pytest.mark.parametrize("mass", [MASS, np.float64(MASS), np.array(MASS), np.float32(0.5), 2])
@pytest.mark.parametrize("image", [lens(), np.asfortranarray(lens()), lens().astype(">f4")])
@pytest.mark.parametrize("protocol", [3, 4])
def test_a_pair_of_image_and_number_is_rebuilt(image, mass, protocol):
    found = load_objects(pickle.dumps(objects(image, mass), protocol=protocol))
    assert found.shape == (2,)
    np.testing.assert_array_equal(found[0], image)
    assert found[1] == mass


def test_the_pickles_of_numpy_1_are_rebuilt():
    found = load_objects(as_numpy_1(pickle.dumps(objects(lens(), MASS), protocol=4)))
    np.testing.assert_array_equal(found[0], lens())


def test_an_object_array_inside_a_pair_is_rebuilt():
    found = load_objects(pickle.dumps(objects(objects(*lens()), 1), protocol=4))
    np.testing.assert_array_equal(np.stack(list(found[0])), lens())


class Runs:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(folder: Path) -> dict[str, object]:
    mark = str(folder / "executed")
    return {
        "os.system": Runs(os.system, f"touch {mark}"),
        "open": Runs(open, mark, "w"),
        "exec": Runs(exec, f"open({mark!r}, 'w')"),
        "eval": Runs(eval, f"open({mark!r}, 'w')"),
        "numpy.savetxt": Runs(np.savetxt, mark, [1.0]),
        "numpy.memmap": Runs(np.memmap, mark, "u1", "w+", 0, 10),
        "numpy.load": Runs(np.load, mark),
        "getattr": Runs(getattr, [], "append"),
        "subclass": Runs(np.matrix, "1 2"),
        "object of a class": Path(mark),
    }


@pytest.mark.parametrize("name", sorted(hostile(Path())))
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("protocol", [3, 4])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, name, inside, protocol):
    content = hostile(tmp_path)[name]
    if inside:
        content = objects(lens(), content)
    with pytest.raises(DataError, match=r"its pickle asks for|its pickle has the instruction"):
        load_objects(pickle.dumps(content, protocol=protocol))
    assert os.listdir(tmp_path) == []


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


GLOBAL = {
    "array": b"cnumpy\nndarray\n",
    "dtype": b"cnumpy\ndtype\n",
    "reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n",
    "scalar": b"cnumpy.core.multiarray\nscalar\n",
}
FLOAT = GLOBAL["dtype"] + b"(" + text("f8") + b"\x89\x88tR"
OBJECT = FLOAT.replace(b"f8", b"O8")
EMPTY = GLOBAL["reconstruct"] + b"(" + GLOBAL["array"] + b"(K\x00tC\x01btR"
EIGHT = b"C\x08AAAAAAAA"


def array(shape: bytes, kind: bytes, content: bytes) -> bytes:
    return EMPTY + b"(K\x01(" + shape + b"t" + kind + b"\x89" + content + b"tb"


SIZE = "longer or shorter than its data"
MALFORMED = [
    (GLOBAL["array"] + b"((" + number(10**12) + b"ttR.", "damaged"),  # room for a petabyte
    (GLOBAL["dtype"] + b"(" + text("V1000000000") + b"\x89\x88tR.", "data of type 'V1000000000'"),
    (GLOBAL["dtype"] + b"(" + text("f8,f8") + b"\x89\x88tR.", "data of type 'f8,f8'"),
    (GLOBAL["scalar"] + b"(" + OBJECT + EIGHT + b"tR.", "damaged"),
    (array(b"K\x01", FLOAT, EIGHT) + b".", "its header says objects"),
    (array(number(10**9), OBJECT, b"]") + b".", SIZE),
    (array(number(-1), OBJECT, b"]") + b".", "describes no array"),
    (array(b"K\x01" * 9, OBJECT, b"](K\x01e") + b".", "describes no array"),
    (array(b"K\x01", EIGHT, EIGHT) + b".", "describes no array"),
    (array(b"K\x01", OBJECT, b"](" + array(number(10**9), FLOAT, EIGHT) + b"e") + b".", SIZE),
    (array(b"K\x01", OBJECT, b"](](ee") + b".", "holds list, not an array or a number"),
    (array(b"K\x01", OBJECT, b"(K\x01t") + b".", SIZE),
    (EMPTY + b".", "holds arrays within arrays|not an array"),
    (EMPTY + text("state") + b"b.", "damaged"),
    (GLOBAL["scalar"] + b"(" + FLOAT + EIGHT + b"tRK\x01b.", "gives a number a state"),
    (GLOBAL["scalar"] + b"}" + text("call") + b"K\x01sb.", "instruction EMPTY_DICT"),
    (GLOBAL["dtype"] + b"(N]tb.", "damaged"),  # a state for a class we lend it
    (b"cnumpy\n_core.multiarray._reconstruct\n.", "asks for 'numpy'"),
    (b"K\x01.", "holds int, not an array"),
    (b"", "damaged"),
    (b".", "damaged"),
    (b"\x80\x05\x8e" + struct.pack("<Q", 2**62), "damaged"),  # bytes longer than any memory
    (b"\x80\x05\x96" + struct.pack("<Q", 2**62), "damaged|BYTEARRAY8"),
    (b"\x80\x04\x8b" + struct.pack("<I", 2**31 - 1), "damaged"),  # a number of two gigabytes
    (b"P1\n.", "instruction PERSID"),
    (b"I" + b"9" * 10_000 + b"\n.", "damaged"),
    (array(b"K\x01", OBJECT, b"](K\x01e") + b"." + b"more", "4 bytes follow its pickle"),
]


@pytest.mark.parametrize(("pickled", "message"), MALFORMED)
def test_a_pickle_of_malformed_arrays_is_refused(pickled, message):
    with pytest.raises(DataError, match=f"pickle.*({message})|{message}"):
        load_objects(pickled)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02Nr" + struct.pack("<I", 2**30) + b".",  # thirteen bytes that take gigabytes
        b"\x80\x02N" + b"\x94" * 10 + b"r" + struct.pack("<I", 10**8) + b".",
        b"N" + b"\x85" * (2 * MAX_STEPS) + b".",  # tuples in tuples in tuples
        b"(" * (2 * MAX_STEPS) + b".",
        b"N" * 10_000 + b"\x94" * (2 * MAX_STEPS) + b".",
    ],
)
def test_a_pickle_that_would_take_all_memory_is_refused_at_once(pickled):
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"room that no array needs|more than 500000 instructions"):
        load_objects(pickled)
    assert time.perf_counter() - began < SECONDS


def test_one_long_array_named_in_many_others_is_refused_at_once():
    inner = array(b"M\x10\x27", OBJECT, b"](" + b"N" * 10_000 + b"e") + b"q\x01"
    many = b"h\x01" * 10_000
    began = time.perf_counter()
    with pytest.raises(DataError, match="arrays within arrays"):
        load_objects(array(b"M\x11\x27", OBJECT, b"](" + inner + many + b"e") + b".")
    assert time.perf_counter() - began < SECONDS
