import torch

from lenspinn.compiled import compiled_function


def polynomial(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.square() + 3 * y


def test_a_compiled_function_is_made_once():
    assert compiled_function(polynomial) is compiled_function(polynomial)


def test_a_compiled_function_takes_any_shape():
    for size in (2, 7, 64):
        x = torch.linspace(0, 1, size)
        torch.testing.assert_close(compiled_function(polynomial)(x, x), polynomial(x, x))
