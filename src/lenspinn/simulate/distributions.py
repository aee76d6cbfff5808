"""Named one-dimensional distributions, the form in which recipes and YAML files state their priors.

In YAML a plain number is `Fixed`; anything else is one name with its parameters in order::

    theta_E: {uniform: [0.6, 1.5]}
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.plain_yaml import shown

__all__ = [
    "Distribution",
    "Fixed",
    "LogUniform",
    "Normal",
    "PowerLaw",
    "Uniform",
    "as_distribution",
    "as_plain",
    "require_positive",
    "require_within",
]

_LARGEST_LOG = 700.0
"""Natural logarithm of about the largest number that a float64 holds."""

Size = int | tuple[int, ...] | None


@dataclass(frozen=True)
class Fixed:
    """Distribution of one fixed value."""

    value: float

    def __post_init__(self) -> None:
        _require(math.isfinite(self.value), self, "a finite value")

    @property
    def minimum(self) -> float:
        """Least value that a draw can have."""
        return self.value

    @property
    def maximum(self) -> float:
        """Largest value that a draw can have."""
        return self.value

    def draw(self, rng: np.random.Generator, size: Size = None) -> Any:
        """Return one float, or an array of ``size``."""
        return self.value if size is None else np.full(size, self.value)


@dataclass(frozen=True)
class Uniform:
    """Uniform distribution between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require(self.low <= self.high and math.isfinite(self.high - self.low), self, "low <= high")

    @property
    def minimum(self) -> float:
        """Least value that a draw can have."""
        return self.low

    @property
    def maximum(self) -> float:
        """Largest value that a draw can have."""
        return self.high

    def draw(self, rng: np.random.Generator, size: Size = None) -> Any:
        """Return one float, or an array of ``size``."""
        return self.low + (self.high - self.low) * rng.random(size)


@dataclass(frozen=True)
class LogUniform:
    """Distribution that is uniform in the logarithm between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require(0 < self.low <= self.high < math.inf, self, "0 < low <= high")

    @property
    def minimum(self) -> float:
        """Least value that a draw can have."""
        return self.low

    @property
    def maximum(self) -> float:
        """Largest value that a draw can have."""
        return self.high

    def draw(self, rng: np.random.Generator, size: Size = None) -> Any:
        """Return one float, or an array of ``size``."""
        return self.low * (self.high / self.low) ** rng.random(size)


@dataclass(frozen=True)
class Normal:
    """Gaussian of mean ``mean`` and standard deviation ``sigma``."""

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        finite = math.isfinite(self.mean) and math.isfinite(self.sigma)
        _require(finite and self.sigma >= 0, self, "sigma >= 0")

    @property
    def minimum(self) -> float:
        """Least value that a draw can have."""
        return -math.inf if self.sigma else self.mean

    @property
    def maximum(self) -> float:
        """Largest value that a draw can have."""
        return math.inf if self.sigma else self.mean

    def draw(self, rng: np.random.Generator, size: Size = None) -> Any:
        """Return one float, or an array of ``size``."""
        return self.mean + self.sigma * rng.standard_normal(size)


@dataclass(frozen=True)
class PowerLaw:
    """Power law: density as ``value**slope`` between ``low`` and ``high``; slope is not -1."""

    low: float
    high: float
    slope: float

    def __post_init__(self) -> None:
        _require(0 < self.low <= self.high < math.inf, self, "0 < low <= high")
        _require(math.isfinite(self.slope) and self.slope != -1, self, "a slope other than -1")
        steepest = abs(self.slope + 1) * max(abs(math.log(self.low)), abs(math.log(self.high)))
        _require(steepest < _LARGEST_LOG, self, "a slope and bounds whose power is a number")

    @property
    def minimum(self) -> float:
        """Least value that a draw can have."""
        return self.low

    @property
    def maximum(self) -> float:
        """Largest value that a draw can have."""
        return self.high

    def draw(self, rng: np.random.Generator, size: Size = None) -> Any:
        """Return one float, or an array of ``size``."""
        power = self.slope + 1
        low, high = self.low**power, self.high**power
        return (low + (high - low) * rng.random(size)) ** (1 / power)


Distribution = Fixed | Uniform | LogUniform | Normal | PowerLaw

_KINDS: dict[str, type] = {
    "fixed": Fixed,
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "normal": Normal,
    "power_law": PowerLaw,
}


def as_distribution(value: Any, key: str) -> Distribution:
    """Read a distribution from its plain form.

    Parameters
    ----------
    value
        A `Distribution`, a number, or ``{name: [parameters]}``.
    key
        Key that the value belongs to, for the error message.

    Raises
    ------
    ConfigError
        If the name is unknown or the parameters are impossible.
    """
    if isinstance(value, Distribution):
        return value
    name, parameters = "fixed", value
    if isinstance(value, dict) and len(value) == 1:
        ((name, parameters),) = value.items()
    if not isinstance(parameters, list | tuple):
        parameters = [parameters]
    if name not in _KINDS:
        raise ConfigError(f"{key}: no distribution {shown(name)}; known are {', '.join(_KINDS)}")
    names = [field.name for field in dataclasses.fields(_KINDS[name])]
    try:
        distribution: Distribution = _KINDS[name](*map(_float, parameters))
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    except (TypeError, ValueError, OverflowError):
        form = f"{{{name}: [{', '.join(names)}]}}"
        raise ConfigError(f"{key}: {shown(value)} is neither a number nor {form}") from None
    return distribution


def _float(number: Any) -> float:
    if isinstance(number, bool):
        raise TypeError("a truth value is no number")
    return float(number)


def as_plain(distribution: Distribution) -> float | dict[str, list[float]]:
    """Return the form that `as_distribution` and YAML read."""
    if isinstance(distribution, Fixed):
        return distribution.value
    name = next(name for name, kind in _KINDS.items() if type(distribution) is kind)
    return {name: list(dataclasses.astuple(distribution))}


def require_positive(prior: Any, *keys: str) -> None:
    """Refuse distributions among the fields of ``prior`` that can give 0 or less.

    Raises
    ------
    ConfigError
        If one does; the message names the field. A field that is None is not checked.
    """
    for key in keys:
        distribution = getattr(prior, key)
        if distribution is not None and not distribution.minimum > 0:
            raise ConfigError(f"{key} must always be above 0, which {distribution} is not")


def require_within(prior: Any, low: float, high: float, *keys: str) -> None:
    """Refuse distributions among the fields of ``prior`` that reach out of a range.

    A `Normal` has no bounds: its mean minus sigma and its mean plus sigma are checked instead.

    Raises
    ------
    ConfigError
        If one does; the message names the field. A field that is None is not checked.
    """
    for key in keys:
        distribution = getattr(prior, key)
        if distribution is None:
            continue
        least, most = distribution.minimum, distribution.maximum
        if isinstance(distribution, Normal):
            least, most = (distribution.mean + sign * distribution.sigma for sign in (-1, 1))
        if not low <= least <= most <= high:
            raise ConfigError(
                f"{key} must lie between {low:g} and {high:g}, which {distribution} does not"
            )


def _require(condition: bool, distribution: Distribution, allowed: str) -> None:
    if not condition:
        raise ConfigError(f"{distribution} is impossible: it needs {allowed}")
