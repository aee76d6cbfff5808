from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lenspinn.overlay import nested, overlaid

NAMES = st.sampled_from(["a", "b", "c", "mass"])
VALUES = st.none() | st.booleans() | st.integers(0, 9) | st.just({"uniform": [0, 1]})
TREES = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=3),
    lambda inner: st.dictionaries(NAMES, VALUES | inner, max_size=3),
    max_leaves=12,
)


def as_leaves(tree: dict[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the values of a tree by path; an empty mapping has none."""
    leaves = {}
    for key, value in tree.items():
        is_tree = isinstance(value, dict) and "uniform" not in value
        leaves |= as_leaves(value, (*prefix, key)) if is_tree else {(*prefix, key): value}
    return leaves


def expected_union(layers: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    """Return what must be left: of paths that contradict each other, the last one."""
    union: dict[tuple[str, ...], Any] = {}
    for layer in layers:
        for path, value in as_leaves(layer).items():
            contradicted = [p for p in union if p[: len(path)] == path or path[: len(p)] == p]
            union = {p: v for p, v in union.items() if p not in contradicted} | {path: value}
    return union


@st.composite
def written(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """Write a tree with some of its levels dotted."""
    result = {}
    for key, value in tree.items():
        if isinstance(value, dict) and "uniform" not in value:
            value = draw(written(value))
            if value and draw(st.booleans()):
                result |= {f"{key}.{inner}": item for inner, item in value.items()}
                continue
        result[key] = value
    return result


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.data())
def test_layers_nested_or_dotted_give_the_union_and_the_later_wins_key_by_key(data):
    layers = data.draw(st.lists(TREES, min_size=1, max_size=4))
    result: dict[str, Any] = {}
    for layer in layers:
        result = overlaid(result, data.draw(written(layer)))
    # An empty mapping in the place of a value removes it, and leaves nothing to compare.
    seen, expected = as_leaves(nested(result)), expected_union(layers)
    assert {path: expected.get(path) for path in seen} == seen
    assert all(covered(path, layers) for path in expected.keys() - seen.keys())


def covered(path: tuple[str, ...], layers: list[dict[str, Any]]) -> bool:
    """Whether some layer has an empty mapping at, above or instead of a path."""
    for layer in layers:
        node: Any = layer
        for key in path:
            if not isinstance(node, dict) or key not in node:
                break
            node = node[key]
            if node == {}:
                return True
    return False


def test_the_first_of_two_keys_under_one_parent_stays():
    first, second = {"source.magnitude": 24}, {"source.n_sersic": 1}
    assert nested(overlaid(first, second)) == {"source": {"magnitude": 24, "n_sersic": 1}}


def test_a_distribution_replaces_another_as_a_whole():
    below = {"source": {"magnitude": {"uniform": [20, 22]}, "e1": 0}}
    above = {"source.magnitude": {"normal": [21, 1]}}
    expected = {"source": {"magnitude": {"normal": [21, 1]}, "e1": 0}}
    assert nested(overlaid(below, above)) == expected


def test_a_name_and_changes_to_what_it_names_stay_both():
    both = overlaid({"populations.wdm": "warm"}, {"populations.wdm.mean_number": 5})
    assert both == {"populations.wdm": "warm", "populations.wdm.mean_number": 5}


def test_neither_argument_is_changed():
    below, above = {"a": {"b": 1}}, {"a.c": 2}
    overlaid(below, above)
    assert (below, above) == ({"a": {"b": 1}}, {"a.c": 2})
