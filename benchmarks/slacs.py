"""What is known of the SLACS lenses whose images are shared: their redshifts."""

import csv
from pathlib import Path

REST = Path("hst_slacs") / "SLACS_table.cat"
"""Names, with SDSS before them, right ascension, declination and both redshifts, among others, of
lenses of which the table beside the folders does not say them (Auger et al. 2009)."""


def redshifts_of(folder: Path) -> tuple[float, float] | None:
    """Return the redshifts of a lens and its source, by the name of the folder of its image."""
    table = folder.parent / "reference.csv"
    if table.is_file():
        with table.open() as file:
            for row in csv.DictReader(file):
                if row["lens"] == folder.name and row["z_lens"] and row["z_source"]:
                    return float(row["z_lens"]), float(row["z_source"])
    rest = folder.parent.parent / REST
    if rest.is_file():
        for line in rest.read_text().splitlines():
            name, *numbers = line.split()
            if name == f"SDSS{folder.name}":
                return float(numbers[2]), float(numbers[3])
    return None
