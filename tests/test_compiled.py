import math

import pytest
import torch

from lenspinn import compiled
from lenspinn.compiled import compiled_function, compiled_or_eager
from lenspinn.errors import ConfigError


def polynomial(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.square() + 3 * y


def test_a_compiled_function_is_made_once():
    assert compiled_function(polynomial) is compiled_function(polynomial)


def test_a_compiled_function_takes_any_shape():
    for size in (2, 7, 64):
        x = torch.linspace(0, 1, size)
        torch.testing.assert_close(compiled_function(polynomial)(x, x), polynomial(x, x))


def test_a_batched_function_takes_any_batch_of_any_shape():
    batched = compiled_function(polynomial, batched=True)
    for shape in ((2, 3), (7, 3), (1, 3), (7, 5)):
        x = torch.linspace(0, 1, math.prod(shape)).view(shape)
        torch.testing.assert_close(batched(x, x), polynomial(x, x))


def test_what_does_not_compile_runs_as_it_is_and_this_is_said_once(monkeypatch):
    def broken(function, batched):
        def call(*arguments):
            raise ConfigError("torch.compile does not work here: no compiler")

        return call

    def sum_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    monkeypatch.setattr(compiled, "compiled_function", broken)
    function = compiled_or_eager(sum_of)
    with pytest.warns(UserWarning, match="no compiler; fits are several times slower"):
        assert function(torch.ones(2), torch.ones(2)).tolist() == [2.0, 2.0]
    assert function(torch.ones(2), torch.ones(2)).tolist() == [2.0, 2.0]


def test_any_error_of_the_compiler_or_its_cache_means_that_it_does_not_work(monkeypatch):
    def product_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y

    for error in (OSError(28, "No space left on device"), EOFError(), ImportError("no cache")):

        def compile_nothing(*_, error=error, **__):
            raise error

        monkeypatch.setattr(torch, "compile", compile_nothing)
        compiled_function.cache_clear()
        with pytest.raises(ConfigError, match=r"torch\.compile does not work here: \S"):
            compiled_function(product_of)(torch.ones(2), torch.ones(2))
    compiled_or_eager.cache_clear()
    with pytest.warns(UserWarning, match="fits are several times slower"):
        assert compiled_or_eager(product_of)(torch.ones(2), torch.ones(2)).tolist() == [1.0, 1.0]
