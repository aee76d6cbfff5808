"""Damage to the files of a folder, as hypothesis draws it."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    0.5,
    10**18,
    10**400,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
    "\x00",
    "NaN",
    [],
    [[]],
    [None],
    [10**18],
    ["a", "a"],
    {},
    {"class_path": "os.system", "init_args": {"command": "true"}},
]
"""Values that no field of any of our files should have, or not there."""


@dataclass(frozen=True)
class Damage:
    """What is done to one file of a folder."""

    kind: str
    file: int
    """Number of the file, in their sorted order, wrapped around."""
    place: float
    """Where in the file, as a share of its length or of its values."""
    value: Any

    def apply(self, folder: Path) -> None:
        """Change the folder."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if self.kind == "json":
            files = [path for path in files if path.suffix == ".json"]
        path = files[self.file % len(files)]
        content = path.read_bytes()
        place = int(self.place * len(content))
        path.unlink()  # it may be a link to the file of the undamaged folder
        if self.kind == "flip" and content:
            place = min(place, len(content) - 1)
            flipped = content[place] ^ (1 + self.file % 255)
            path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        elif self.kind == "cut":
            path.write_bytes(content[:place])
        elif self.kind == "grow":
            path.write_bytes(content + b"\xff" * (1 + place))
        elif self.kind == "json":
            try:
                content = json.dumps(
                    _replaced(json.loads(content), self.place, self.value)
                ).encode()
            except ValueError:
                content = b"{"  # it was damaged before
            path.write_bytes(content)
        elif self.kind == "pipe":
            os.mkfifo(path)
        elif self.kind == "folder":
            path.mkdir()


DAMAGES = st.builds(
    Damage,
    st.sampled_from(["json", "json", "json", "flip", "cut", "grow", "lose", "pipe", "folder"]),
    st.integers(0, 1000),
    st.floats(0, 1),
    st.sampled_from(HOSTILE),
)


def damaged(original: Path, copy: Path, damages: list[Damage]) -> Path:
    """Return a copy of a folder, of links, with damage; one that was there goes."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy, copy_function=os.link)
    for damage in damages:
        damage.apply(copy)
    return copy


def check_sentence(error: Exception) -> None:
    """Check that an error is one line of a readable length."""
    assert 10 < len(str(error)) < 2000
    assert "\n" not in str(error)


def _replaced(content: Any, share: float, value: Any) -> Any:
    """Replace one of all values inside of a JSON value, or drop it where the value is {}."""
    places = list(_places(content))
    if not places:
        return value
    holder, key = places[min(int(share * len(places)), len(places) - 1)]
    if value == {} and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = value
    return content


def _places(content: Any) -> Any:
    """Yield each container in a JSON value with each of its keys."""
    keys = list(content) if isinstance(content, dict) else range(len(content))
    for key in keys:
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])
