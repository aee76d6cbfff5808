"""What the images of a run were drawn from, for benchmarks that draw others like them."""

from collections.abc import Iterator, Mapping
from typing import Any

from lenspinn.simulate import Recipe, get_recipe
from lenspinn.train import Run


def recipe_like(run: Run, **changes: Any) -> Recipe:
    """Return a run's recipe with changes, by dotted key."""
    name, overrides = drawn_from(run)
    return get_recipe(name, **overrides | changes)


def drawn_from(run: Run) -> tuple[str, dict[str, Any]]:
    """Return the name of a run's recipe, and its overrides by dotted key."""
    if run.config.streams:
        return run.config.stream.recipe, dict(run.config.stream.overrides)
    drawn = {key: value for key, value in run.data_info.recipe_config.items() if key != "engine"}
    name = run.data_info.recipe
    overrides = dict(_changes(get_recipe(name).to_dict(), drawn))
    if get_recipe(name, **overrides).to_dict() != drawn:
        raise SystemExit(f"{run.folder} was trained on a {name} that is not the one of today")
    return name, overrides


def _changes(
    usual: Mapping[str, Any], drawn: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Any]]:
    """Give each value that was changed; a mapping of one entry is a distribution, and a value."""
    for key, value in drawn.items():
        before = usual.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and len(value) > 1:
            yield from _changes(before, value, f"{above}{key}.")
        elif value != before:
            yield f"{above}{key}", value
