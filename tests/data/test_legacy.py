import io
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.legacy import AXION_MASS, FOLDER_NAMES, import_deeplense, read_npy
from lenspinn.data.store import ImageStore, StoreWriter
from lenspinn.errors import DataError

MASS = 3.2e-23


def lens(seed: int = 0, num_pix: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, (num_pix, num_pix))


def image_and_mass(image, mass) -> np.ndarray:
    pair = np.empty(2, dtype=object)
    pair[0], pair[1] = image, mass
    return pair


def npy_of_pickle(pickled: bytes) -> bytes:
    """A .npy file whose object array is whatever the pickle makes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (2,)}
    )
    return header.getvalue() + pickled


def as_numpy_1(content: bytes) -> bytes:
    """The same pickle as numpy 1 writes it, whose modules have shorter names."""
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    pickled = content[content.index(b"\x80") :]
    assert pickled.count(bytes([0x8C, len(new)]) + new) == 1
    pickled = pickled.replace(bytes([0x8C, len(new)]) + new, bytes([0x8C, len(old)]) + old)
    (frame,) = struct.unpack("<Q", pickled[3:11])
    return npy_of_pickle(pickled[:3] + struct.pack("<Q", frame - 1) + pickled[11:])


@pytest.mark.parametrize("file", ["nosub.npy", "cdm.npy"])
def test_the_authors_files_are_read(shared_data, file):
    path = shared_data / "deeplense_published" / file
    np.testing.assert_array_equal(read_npy(path), np.load(path, allow_pickle=False))


@pytest.mark.parametrize("dtype", ["float32", ">f8", "uint16"])
@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16)])
def test_a_plain_array_of_one_image_is_read(tmp_path, dtype, shape):
    image = (1000 * lens()).astype(dtype)
    np.save(tmp_path / "a.npy", image.reshape(shape))
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("mass", [MASS, np.float64(MASS), np.array(MASS), np.float32(1.5)])
@pytest.mark.parametrize("image", [lens(), np.asfortranarray(lens()), lens().astype(">f4")])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_a_pickled_pair_of_image_and_mass_is_read(tmp_path, image, mass, numpy_1):
    path = tmp_path / "a.npy"
    np.save(path, image_and_mass(image, mass), allow_pickle=True)
    if numpy_1:
        path.write_bytes(as_numpy_1(path.read_bytes()))
        assert b"numpy.core" in path.read_bytes()
    np.testing.assert_array_equal(read_npy(path), image)


@pytest.mark.parametrize("protocol", [3, 4])
def test_pairs_pickled_by_older_numpy_protocols_are_read(tmp_path, protocol):
    image = lens()
    pickled = pickle.dumps(image_and_mass(image, MASS), protocol=protocol)
    (tmp_path / "a.npy").write_bytes(npy_of_pickle(pickled))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), image)


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
        "numpy.savetxt": Runs(np.savetxt, mark, [1.0]),
        "numpy.memmap": Runs(np.memmap, mark, "u1", "w+", 0, 10),
        "numpy.load": Runs(np.load, mark),
        "getattr": Runs(getattr, [], "append"),
        "subclass": Runs(np.matrix, "1 2"),
    }


@pytest.mark.parametrize("name", sorted(hostile(Path())))
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("protocol", [3, 4])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, name, inside, protocol):
    content = hostile(tmp_path)[name]
    if inside:
        content = image_and_mass(lens(), content)
    path = tmp_path / "a.npy"
    path.write_bytes(npy_of_pickle(pickle.dumps(content, protocol=protocol)))
    with pytest.raises(DataError, match=r"a\.npy .*its pickle asks for"):
        read_npy(path)
    assert os.listdir(tmp_path) == ["a.npy"]


GLOBAL = {
    "array": b"cnumpy\nndarray\n",
    "dtype": b"cnumpy\ndtype\n",
    "reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n",
    "scalar": b"cnumpy.core.multiarray\nscalar\n",
}
FLOAT = GLOBAL["dtype"] + b"(Vf8\nI00\nI01\ntR"
EMPTY = GLOBAL["reconstruct"] + b"(" + GLOBAL["array"] + b"(I0\ntC\x01btR"


@pytest.mark.parametrize(
    "pickled",
    [
        GLOBAL["array"] + b"((I1000000000000\ntt" + b"R.",  # room for a petabyte
        GLOBAL["dtype"] + b"(VV1000000000\nI00\nI01\ntR.",
        GLOBAL["dtype"] + b"(Vf8,f8\nI00\nI01\ntR.",
        GLOBAL["scalar"] + b"(" + GLOBAL["dtype"] + b"(VO8\nI00\nI01\ntRC\x08AAAAAAAAtR.",
        EMPTY + b"(I1\n(I1000000000\nt" + FLOAT + b"I00\nC\x08AAAAAAAAtb.",  # short content
        GLOBAL["scalar"] + b"}Vcall\nI1\nsb.",  # new attributes for what we lend it
        GLOBAL["dtype"] + b"(N}V__init__\nI1\nstb.",
        b"cnumpy\n_core.multiarray._reconstruct\n.",
        b"I1\n.",
        b"",
        b"\x80\x05\x8e" + struct.pack("<Q", 2**62),  # a string longer than any memory
        b"P1\n.",
    ],
)
def test_a_pickle_of_malformed_arrays_is_refused(tmp_path, pickled):
    (tmp_path / "a.npy").write_bytes(npy_of_pickle(pickled))
    with pytest.raises(DataError, match=r"a\.npy is not a \.npy file lenspinn reads"):
        read_npy(tmp_path / "a.npy")


def claims_a_petabyte() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
    )
    return header.getvalue() + b"few bytes"


def truncated() -> bytes:
    file = io.BytesIO()
    np.save(file, lens())
    return file.getvalue()[:-1]


@pytest.mark.parametrize(
    "content", [b"", b"text", pickle.dumps(lens()), claims_a_petabyte(), truncated()]
)
def test_a_file_that_is_no_npy_file_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy is not a \.npy file lenspinn reads"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((3, 8, 8)), r"shape \(3, 8, 8\)"),
        (np.ones(8), r"shape \(8,\)"),
        (np.array(["a"]), "not an image"),
        (image_and_mass("image", MASS), "not an image"),
        (image_and_mass(lens(), "mass"), "not an image"),
        (np.array([1, 2, None], dtype=object), r"objects of shape \(3,\)"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, content, message):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=rf"a\.npy .*{message}"):
        read_npy(tmp_path / "a.npy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.npy cannot be read: No such file"):
        read_npy(tmp_path / "nowhere.npy")


@pytest.fixture
def deeplense(tmp_path) -> Path:
    folder = tmp_path / "Model_III"
    for label, name in enumerate(("axion", "cdm", "no_sub")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            content = lens(10 * label + i)
            if name == "axion":
                content = image_and_mass(content, MASS * (i + 1))
            np.save(folder / name / f"{name}_{9 - i}.npy", content, allow_pickle=True)
    (folder / "readme.txt").write_text("not a class")
    return folder


def test_a_folder_of_classes_becomes_a_store(tmp_path, deeplense):
    out = import_deeplense(
        deeplense, tmp_path / "a.zarr", pixel_scale=0.08, instrument="HST", progress=False
    )
    store = ImageStore.open(out)
    assert store.info.classes == ("axion", "cdm", "no_sub")
    assert (store.info.pixel_scale, store.info.instrument) == (0.08, "HST")
    np.testing.assert_array_equal(store.labels, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    files = store.info.recipe_config["files"]
    assert files["axion"] == ["axion_7.npy", "axion_8.npy", "axion_9.npy"]
    np.testing.assert_array_equal(
        store.images([3])[0, 0], read_npy(deeplense / "cdm" / files["cdm"][0]).astype(np.float32)
    )
    np.testing.assert_array_equal(store.truth[AXION_MASS][:3], MASS * np.array([3, 2, 1]))
    assert np.isnan(store.truth[AXION_MASS][3:]).all()


def test_an_interrupted_import_is_resumed_by_the_same_call(tmp_path, deeplense, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    arguments = {"pixel_scale": 0.08, "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            import_deeplense(deeplense, tmp_path / "a.zarr", **arguments)
    import_deeplense(deeplense, tmp_path / "a.zarr", **arguments)
    assert len(ImageStore.open(tmp_path / "a.zarr")) == 9


@pytest.mark.parametrize("alias", ["sub", "sphere", "Sphere"])
def test_other_names_of_a_class_are_known(tmp_path, deeplense, alias):
    assert FOLDER_NAMES[alias.lower()] == "cdm"
    (deeplense / "cdm").rename(deeplense / alias)
    out = import_deeplense(deeplense, tmp_path / "a.zarr", pixel_scale=0.08, progress=False)
    assert ImageStore.open(out).labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def without_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "cdm")


def with_a_class_twice(folder: Path) -> None:
    shutil.copytree(folder / "cdm", folder / "sphere")


def with_an_empty_class(folder: Path) -> None:
    for file in (folder / "cdm").iterdir():
        file.unlink()


def with_another_size(folder: Path) -> None:
    np.save(folder / "cdm" / "cdm_1.npy", lens(num_pix=20))


def with_not_a_number(folder: Path) -> None:
    np.save(folder / "no_sub" / "x.npy", np.full((16, 16), np.nan))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_class, "0 folders for class cdm"),
        (with_a_class_twice, "2 folders for class cdm"),
        (with_an_empty_class, r"no \.npy file of class cdm"),
        (with_another_size, r"cdm_1\.npy has shape \(20, 20\), the first image \(16, 16\)"),
        (with_not_a_number, r"x\.npy has pixels that are NaN"),
        (shutil.rmtree, "There is no folder"),
    ],
)
def test_a_folder_that_is_not_deeplense_is_refused(tmp_path, deeplense, spoil, message):
    spoil(deeplense)
    with pytest.raises(DataError, match=message):
        import_deeplense(deeplense, tmp_path / "a.zarr", pixel_scale=0.08, progress=False)
    assert not (tmp_path / "a.zarr").exists()
