"""Sizes that a FITS file declares for its extensions, checked before memory is taken.

FITS standard 4.0 (2018), sections 3.1 (blocks), 4.4.1 (mandatory keywords), 10.1 (compression).
"""

import math
import re
from dataclasses import dataclass
from io import BufferedIOBase

from lenspinn.errors import DataError

__all__ = ["MOST_PIXELS", "Declared", "declared_extensions"]

BLOCK, CARD = 2880, 80
"""Length of a block and of a card, bytes."""
MOST_BLOCKS = 2000
"""Largest number of blocks of a header."""
MOST_EXTENSIONS = 100_000
MOST_AXES = 16
MOST_PIXELS = 40_000_000
"""Largest number of pixels of an image: a larger one is no cutout of a lens, and would take more
than 1 GB to work on."""
BITPIX = (8, 16, 32, 64, -32, -64)
COMPRESSIONS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "NOCOMPRESS")
"""Compressions that are read. HCOMPRESS_1 is left out: its C code believes the sizes that the
compressed bytes state."""
INTEGER = re.compile(r"\s*([+-]?\d{1,18})\s*(/.*)?$", re.DOTALL)


@dataclass(frozen=True)
class Declared:
    """Data of an extension, as its header declares them."""

    kind: str
    """Kind of data: "IMAGE", also for the primary extension and for compressed images, "BINTABLE"
    or another value of XTENSION."""
    shape: tuple[int, ...]
    """Shape (..., y, x) of the image, also of a compressed one; empty where there is no image."""
    compressed: bool = False


def declared_extensions(file: BufferedIOBase, size: int, name: str) -> list[Declared]:
    """List the extensions of a file, having checked that their data are there.

    Parameters
    ----------
    file
        Open file, at its beginning.
    size
        Size of the file, bytes.
    name
        Name of the file, for errors.

    Raises
    ------
    DataError
        If it is no FITS file, a header has no end, or a declared size is missing, absurd or larger
        than the file.
    """
    found: list[Declared] = []
    position = 0
    while position < size and len(found) < MOST_EXTENSIONS:
        file.seek(position)
        first = file.read(BLOCK)
        if found and not first.startswith(b"XTENSION"):
            if not first.strip(b"\0 "):
                break  # padding at the end, as on tapes
            raise DataError(
                f"{name} is truncated or corrupt: after extension {len(found) - 1} come bytes that "
                "are no FITS; make or download the file again"
            )
        header, cards = _header(file, first, name)
        declared, length = _declared(cards, name, len(found))
        position += header + length
        if position > size:
            raise DataError(
                f"{name} is truncated or corrupt: extension {len(found)} declares {length} bytes "
                f"of data, {size - position + length} are there; make or download the file again"
            )
        position += -position % BLOCK
        found.append(declared)
    return found


def _header(file: BufferedIOBase, block: bytes, name: str) -> tuple[int, dict[str, str]]:
    """Return the length of a header in bytes, and its cards with a value, the first of each."""
    if not block.startswith((b"SIMPLE  =", b"XTENSION=")):
        raise DataError(
            f"{name} is no FITS file, for it does not begin with SIMPLE: give a FITS or HDF5 file"
        )
    cards: dict[str, str] = {}
    for number in range(1, MOST_BLOCKS + 1):
        text = block.decode("latin-1")
        for start in range(0, len(text), CARD):
            card = text[start : start + CARD]
            if card.startswith("END") and not card[3:].strip():
                return number * BLOCK, cards
            if card[8:9] == "=":
                cards.setdefault(card[:8].strip(), card[9:])
        if len(block) < BLOCK:
            break
        block = file.read(BLOCK)
    raise DataError(f"{name} is truncated or corrupt: a header of it has no end; get it again")


def _declared(cards: dict[str, str], name: str, number: int) -> tuple[Declared, int]:
    """Return what a header declares, and the length of its data in bytes."""
    where = f"{name} is truncated or corrupt: extension {number}"

    def integer(key: str, lowest: int, highest: int, default: int | None = None) -> int:
        if key not in cards and default is not None:
            return default
        matched = INTEGER.match(cards.get(key, ""))
        if matched is None or not lowest <= int(matched[1]) <= highest:
            stated = cards[key].split("/")[0].strip() if key in cards else "missing"
            raise DataError(f"{where} has {key} {stated}; mend its header or get the file again")
        return int(matched[1])

    def axes(prefix: str) -> tuple[int, ...]:
        count = integer(f"{prefix}NAXIS", 0, MOST_AXES)
        sides = [integer(f"{prefix}NAXIS{i}", 0, 2**62) for i in range(1, count + 1)]
        return tuple(reversed(sides))

    kind = cards["XTENSION"].split("'")[1].strip() if "'" in cards.get("XTENSION", "") else "IMAGE"
    shape, bits = axes(""), integer("BITPIX", -64, 64)
    if bits not in BITPIX:
        raise DataError(f"{where} has BITPIX {bits}; it must be one of {BITPIX}")
    groups = bool(shape) and shape[-1] == 0 and cards.get("GROUPS", "").split("/")[0].strip() == "T"
    elements = math.prod(shape[:-1] if groups else shape) if shape else 0
    if number or groups:
        elements = integer("GCOUNT", 0, 2**62, 1) * (integer("PCOUNT", 0, 2**62, 0) + elements)
    length = abs(bits) // 8 * elements
    if kind == "BINTABLE" and cards.get("ZIMAGE", "").split("/")[0].strip() == "T":
        image = axes("Z")
        _check_tiles(cards, where)
        tile = [integer(f"ZTILE{i}", 1, MOST_PIXELS, 1) for i in range(1, len(image) + 1)]
        if math.prod(tile) > max(1, math.prod(image)):
            raise DataError(f"{where} is compressed in tiles larger than its image; get it again")
        return Declared("IMAGE", image, compressed=True), length
    return Declared(kind, shape if kind == "IMAGE" else ()), length


def _check_tiles(cards: dict[str, str], where: str) -> None:
    parts = cards.get("ZCMPTYPE", "").split("'")
    method = parts[1].strip() if len(parts) > 1 else "an unknown method"
    if method not in COMPRESSIONS:
        raise DataError(
            f"{where} is compressed by {method}, none of {', '.join(COMPRESSIONS)}; unpack it with "
            "funpack first"
        )
