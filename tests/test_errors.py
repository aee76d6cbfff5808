import inspect

from lenspinn import errors


def test_every_error_is_a_value_error_with_one_base() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 1
    assert all(issubclass(kind, errors.LenspinnError) for kind in kinds)
    assert issubclass(errors.LenspinnError, ValueError)
