from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lenspinn.fitting.parts import solved_in_parts

AT_ONCE = 4


class Inner(NamedTuple):
    values: Tensor


class Outer(NamedTuple):
    inner: Inner
    doubled: Tensor


@pytest.mark.parametrize("num", [1, 2, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE - 1])
def test_parts_come_back_in_order_and_none_is_a_single_image(num):
    sizes = []

    def solve(inner, other):
        sizes.append(len(other))
        return Outer(Inner(inner.values + other), 2 * other)

    numbers = torch.arange(num)
    found = solved_in_parts(solve, Inner(numbers), numbers, at_once=AT_ONCE)
    assert (found.inner.values == 2 * numbers).all()
    assert (found.doubled == 2 * numbers).all()
    assert sum(sizes) == num
    assert max(sizes) <= AT_ONCE
    assert min(sizes) > 1 or num == 1
