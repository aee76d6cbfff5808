"""Functions of tensors compiled once for all shapes, or for all lengths of a batch."""

import functools
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lenspinn.errors import ConfigError

__all__ = ["compiled_function", "compiled_or_eager"]

# One loop for any number of threads that the caller has set, so that pixels do not depend on it.
_OPTIONS = {"cpp.threads": 1}
# Without these, values that are read more than once or long to compute are written to memory first.
_INLINE = {"realize_reads_threshold": 1000, "realize_opcount_threshold": 10000}
_MAX_VARIANTS = 64
"""Largest number of kinds of scene (with halos, with a galaxy, ...) that one process compiles."""

_one_at_a_time = threading.RLock()


@functools.cache
def compiled_function(
    function: Callable[..., Any], *, inline: bool = False, batched: bool = False
) -> Callable[..., Any]:
    """Return ``torch.compile`` of a function of tensors, for use without gradients.

    The function is compiled at the first call, which takes seconds, and again only for another
    structure or dtype of its arguments; shapes are left open. Calls from several threads wait for
    one another.

    Parameters
    ----------
    inline
        Whether to fuse all operations into one loop without intermediate arrays. A sum over
        substructure is then kept in registers, 20 times faster; convolutions would be computed anew
        for each tap.
    batched
        Whether to leave open only the length of a batch, the first axis of each tensor that is an
        argument itself. The function is compiled again for other shapes, and for a batch of one;
        where each sample has many maps the loops are several times faster.

    Raises
    ------
    ConfigError
        By the returned function, if it cannot be compiled: for example there is no C++ compiler, or
        no place for the compiled code (the folder of ``TORCHINDUCTOR_CACHE_DIR``, or its disk, is
        full or must not be written to).
    """
    options: dict[str, Any] = _OPTIONS | (_INLINE if inline else {})
    dynamic = None if batched else True

    @functools.cache
    def compiled() -> Callable[..., Any]:
        return torch.compile(function, dynamic=dynamic, fullgraph=True, options=options)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with _one_at_a_time, _quiet(), torch.no_grad():
            # A compiler and its cache on disk fail in many ways, some when torch imports them.
            try:
                with torch._dynamo.config.patch(recompile_limit=_MAX_VARIANTS):
                    if batched:
                        for tensor in filter(torch.is_tensor, arguments):
                            torch._dynamo.maybe_mark_dynamic(tensor, 0)
                    return compiled()(*arguments)
            except Exception as error:
                lines = str(error).strip().splitlines() or [type(error).__name__]
                raise ConfigError(f"torch.compile does not work here: {lines[0]}") from error

    return call


@functools.cache
def compiled_or_eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `compiled_function` of a batch, or the function itself where compiling fails.

    A failure is found at the first call, which then warns.
    """
    state = {"function": compiled_function(function, batched=True)}

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return state["function"](*arguments)
        except ConfigError as error:
            warnings.warn(f"{error}; fits are several times slower without it", stacklevel=2)
            state["function"] = function
            return function(*arguments)

    return call


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the compiler says about a machine without a GPU."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
