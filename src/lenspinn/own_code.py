"""Import of a Python file of the user with networks, losses and populations.

The file is run. Only the command line or an argument in Python can name it: nothing in a
configuration, a run or a model folder, which may come from a stranger, can.
"""

import importlib.util
import sys
from pathlib import Path

from lenspinn.errors import ConfigError
from lenspinn.models.names import FACTORIES
from lenspinn.path_arguments import takes_paths
from lenspinn.regular_file import require_regular_file
from lenspinn.simulate.populations import POPULATIONS
from lenspinn.train.losses import LOSSES

__all__ = ["import_file"]

MOST_BYTES = 2**24


@takes_paths
def import_file(path: Path) -> list[str]:
    """Run a Python file that registers networks, losses or populations of dark matter.

    A file that was imported before is not run again.

    Parameters
    ----------
    path
        Python file; its name becomes the name of the module, so no other imported file may have it.

    Returns
    -------
    list of str
        The names that are new.

    Raises
    ------
    ConfigError
        If there is no such file, it is no Python file, another file of its name was imported, it
        fails, or it registers nothing.
    """
    require_regular_file(
        path,
        "a file to import",
        most_bytes=MOST_BYTES,
        error=ConfigError,
        remedy="give the path of a Python file that registers a network, a loss or a population",
    )
    if path.suffix != ".py":
        raise ConfigError(f"{path} is no Python file to import: its name must end with .py")
    name, place = f"lenspinn_own_{path.stem}", path.resolve()
    known = sys.modules.get(name)
    if known is not None:
        if Path(str(known.__file__)) == place:
            return []
        raise ConfigError(
            f"{path} has the name of {known.__file__}, which is imported: rename one of them"
        )
    before = FACTORIES.keys() | LOSSES.keys() | POPULATIONS.keys()
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    new = sorted((FACTORIES.keys() | LOSSES.keys() | POPULATIONS.keys()) - before)
    if not new:
        del sys.modules[name]
        raise ConfigError(
            f"{path} registers nothing: put @lenspinn.register_model over a function that returns "
            "lenspinn.wrap(your network, images), @lenspinn.register_loss over a loss, or give a "
            "population to lenspinn.register_population"
        )
    return new
