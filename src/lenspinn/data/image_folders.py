"""Places and classes of the images of a folder, before any image is read.

Three layouts are known, each also in parts (``train``, ``val``, ``test``):

- folders of classes, with a .npy file for each image;
- files of classes, ``axion.npy``, ``cdm.npy``, ...;
- packed arrays, ``images.npy`` with ``labels.npy``.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lenspinn.data.npy import is_stack, open_stack, read_header
from lenspinn.data.packed import PARTS, Packed, find_packed, read_labels
from lenspinn.errors import DataError

FOLDER_NAMES = {
    "axion": "axion",
    "axions": "axion",
    "vort": "axion",
    "vortex": "axion",
    "vortices": "axion",
    "cdm": "cdm",
    "sub": "cdm",
    "subhalo": "cdm",
    "subhalos": "cdm",
    "sphere": "cdm",
    "spheres": "cdm",
    "no": "no_sub",
    "nosub": "no_sub",
    "nosubstructure": "no_sub",
}
"""DeepLense's names, in lower case and letters alone, and the class that each stands for."""

MAX_CLASSES = 100

_GIVE = "give a folder with one folder of .npy files for each class, or images.npy and labels.npy"


class Place(NamedTuple):
    """Place of one image: its class, part, file and row."""

    label: int
    part: int
    path: Path
    row: int | None
    """Row in an array of many images; None where the file is one image."""


@dataclass(frozen=True)
class Listing:
    """All images of a folder, none of them read yet."""

    classes: tuple[str, ...]
    """Class names in alphabetical order; labels are indices into this tuple."""
    parts: tuple[str, ...]
    """Names of the parts, such as train; empty where the folder has no parts."""
    places: tuple[Place, ...]
    """Places of the images, by class, part and file name; of packed arrays by part and row."""


def list_images(folder: Path, classes: str | None = None) -> Listing:
    """Find the images of a folder and their classes.

    Parameters
    ----------
    folder : Path
    classes : str, optional
        Names separated by commas: of the labels 0, 1, ... of packed arrays, or of the folders that
        are classes.

    Raises
    ------
    DataError
        If there is no folder, none of the layouts or two of them, fewer than two classes, a class
        twice or without images, or parts with different classes.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; {_GIVE}")
    names = None if classes is None else _split(classes)
    roots = _part_roots(folder)
    packed = [found for part, root in roots.items() for found in find_packed(visible(root), part)]
    if packed:
        return _list_packed(folder, packed, names, set(roots))
    by_part = {part: _class_files(root, names) for part, root in roots.items()}
    _check_same_classes(folder, by_part)
    return _list_files(folder, by_part)


def visible(folder: Path) -> list[Path]:
    """List a folder, sorted, without files that systems put there and datasets of lenspinn."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "__MACOSX")) and not (path / "zarr.json").is_file()
    ]


def class_names(found: list[str]) -> dict[str, str]:
    """Return the class of each folder or label name.

    DeepLense's names stand for its classes as soon as two of them occur; every other name is the
    name of a class itself. So ``no`` and ``sphere`` are ``no_sub`` and ``cdm``, but ``no`` and
    ``yes`` are themselves.

    Raises
    ------
    DataError
        If two names stand for one class, or there are fewer than two, or too many.
    """
    known = {name: FOLDER_NAMES[_letters(name)] for name in found if _letters(name) in FOLDER_NAMES}
    named = {name: known.get(name, name) if len(known) > 1 else name for name in found}
    names_of = defaultdict(list)
    for name, meant in named.items():
        names_of[meant].append(name)
    for meant, names in names_of.items():
        if len(names) > 1:
            raise DataError(
                f"{len(names)} names, {' and '.join(names)}, stand for class {meant}: "
                "rename or remove all but one"
            )
        if not meant.isprintable() or not meant.strip():
            raise DataError(f"{meant!r} cannot be the name of a class: use letters and digits")
    if len(named) < 2:
        only = f"only {next(iter(named))}" if named else "none"
        raise DataError(f"two classes or more are needed, and there is {only}; {_GIVE}")
    if len(named) > MAX_CLASSES:
        raise DataError(f"{len(named)} classes are too many, {MAX_CLASSES} are allowed; {_GIVE}")
    return named


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _split(classes: str) -> list[str]:
    names = [name.strip() for name in classes.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise DataError(f"classes is {classes!r}; give different names, as in axion,cdm,no_sub")
    return names


def _part_roots(folder: Path) -> dict[str, Path]:
    """Return the folder of each part; the folder itself as part "" where it has no parts."""
    inside = visible(folder)
    parts = [path for path in inside if path.is_dir() and path.name.lower() in PARTS]
    if not parts:
        return {"": folder}
    others = [path.name for path in inside if path.is_dir() or _is_npy(path)]
    others = [name for name in others if name not in [path.name for path in parts]]
    named = {PARTS[path.name.lower()]: path for path in parts}
    if others or len(named) < len(parts):
        raise DataError(
            f"{folder} has the parts {', '.join(path.name for path in parts)} and beside them "
            f"{', '.join(others[:3]) or 'one of them twice'}: import one part alone, or move the "
            "others away"
        )
    return {part: named[part] for part in dict.fromkeys(PARTS.values()) if part in named}


def _is_npy(path: Path) -> bool:
    return path.suffix.lower() == ".npy" and not path.is_dir()


def _class_files(root: Path, names: list[str] | None) -> dict[str, list[Path]]:
    """Return the files by class."""
    inside = visible(root)
    folders = [path for path in inside if path.is_dir()]
    loose = [path for path in inside if _is_npy(path)]
    if folders and loose:
        raise DataError(
            f"{root} has the folder {folders[0].name} and beside it {loose[0].name}: "
            "move one of them away"
        )
    if loose and names is None and not all(_letters(path.stem) in FOLDER_NAMES for path in loose):
        raise DataError(f"{root} has .npy files, and nothing says of which class they are; {_GIVE}")
    by_name = {path.name if folders else path.stem: path for path in folders or loose}
    if names is not None:
        by_name = _chosen(root, by_name, names)
    try:
        named = class_names(list(by_name))
    except DataError as error:
        raise DataError(f"{root}: {error}") from error
    return {
        named[name]: _images_of(path, named[name]) if folders else [path]
        for name, path in by_name.items()
    }


def _chosen(root: Path, by_name: dict[str, Path], names: list[str]) -> dict[str, Path]:
    """Return the classes that were asked for, by their own name or another of DeepLense's."""
    chosen: dict[str, Path] = {}
    for wanted in names:
        meant = FOLDER_NAMES.get(_letters(wanted))
        fits = [
            name
            for name in by_name
            if name == wanted or (meant and FOLDER_NAMES.get(_letters(name)) == meant)
        ]
        if not fits:
            raise DataError(
                f"{root} has nothing for class {wanted}, but {', '.join(by_name) or 'no folder'}: "
                "name the classes that are there"
            )
        chosen |= {name: by_name[name] for name in fits}
    return chosen


def _images_of(folder: Path, name: str) -> list[Path]:
    inside = visible(folder)
    deeper = [path.name for path in inside if path.is_dir()]
    files = [path for path in inside if _is_npy(path)]
    if deeper:
        raise DataError(
            f"{folder} holds the folder {deeper[0]}, and images are looked for in folders of "
            f"classes alone: if {folder.name} is the dataset, give {folder}, else move it away"
        )
    if not files:
        others = sorted({path.suffix for path in inside} - {""})
        raise DataError(
            f"{folder} has no .npy file of class {name}"
            + (f", but {', '.join(others[:3])}" if others else "")
            + ": put its images there, or choose other classes with --classes"
        )
    return files


def _check_same_classes(folder: Path, by_part: dict[str, dict[str, list[Path]]]) -> None:
    everywhere = set().union(*by_part.values())
    for part, files in by_part.items():
        missing = sorted(everywhere - set(files))
        if missing:
            raise DataError(
                f"{folder} has no class {missing[0]} in its part {part}, which another part has: "
                "add it, or import the parts alone"
            )


def _list_files(folder: Path, by_part: dict[str, dict[str, list[Path]]]) -> Listing:
    classes = tuple(sorted(next(iter(by_part.values()))))
    places = [
        Place(label, part, path, row)
        for label, name in enumerate(classes)
        for part, files in enumerate(by_part.values())
        for path in files[name]
        for row in _rows(path)
    ]
    return Listing(classes, tuple(part for part in by_part if part), tuple(places))


def _rows(path: Path) -> list[int] | list[None]:
    header = read_header(path)
    return list(range(len(open_stack(path)))) if is_stack(header) else [None]


def _list_packed(
    folder: Path, packed: list[Packed], names: list[str] | None, roots: set[str]
) -> Listing:
    by_part = {found.part: found for found in packed}
    is_whole = len(by_part) == len(packed) and ("" not in by_part or len(by_part) == 1)
    if not is_whole or (roots != {""} and roots != set(by_part)):
        raise DataError(
            f"{folder} has {', '.join(found.images.name for found in packed)} in parts that are "
            "not all alike: give every part one array of images and one of labels, or import the "
            "parts alone"
        )
    parts = [part for part in dict.fromkeys(PARTS.values()) if part in by_part]
    labels = {part: read_labels(by_part[part], names) for part in parts or [""]}
    given = names or [str(i) for i in range(1 + max(int(each.max()) for each in labels.values()))]
    named = class_names(given)
    classes = tuple(sorted(named.values()))
    label_of = [classes.index(named[name]) for name in given]
    places = [
        Place(label_of[label], part, by_part[name].images, row)
        for part, (name, of_part) in enumerate(labels.items())
        for row, label in enumerate(of_part.tolist())
    ]
    return Listing(classes, tuple(parts), tuple(places))
