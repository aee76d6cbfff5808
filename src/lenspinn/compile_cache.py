"""Folder for the code that torch compiles, where the usual folder cannot be used.

Torch makes the usual folder when its compiler is imported, also by other libraries, and fails if it
cannot: without another folder nothing that needs torch would work where the usual one is read-only.
"""

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["ensure_compile_cache"]

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def ensure_compile_cache() -> Path | None:
    """Send torch's compiled code to a folder of this process, if its own cannot be used.

    Must run before torch's compiler is imported; imports nothing of torch itself.

    Returns
    -------
    Path or None
        The new folder, which is removed when the process ends; None if no folder was needed, or
        none could be made.
    """
    if _is_usable():
        return None
    try:
        folder = tempfile.mkdtemp(prefix="lenspinn_")
    except OSError:
        return None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder
    return Path(folder)


def _is_usable() -> bool:
    try:
        given = os.environ.get(VARIABLE)
        if given is None:
            folder = Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")
            if not folder.exists():
                return True  # torch can make it, or nothing can be made at all
        else:
            folder = Path(given)
            folder.mkdir(parents=True, exist_ok=True)  # as torch does
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, KeyError):  # no such folder can be; a user without a name
        return False
