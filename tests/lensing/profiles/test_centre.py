import torch

from lenspinn.lensing.profiles.centre import CENTRE_RADIUS, off_centre, zero_where

from .conftest import scalar

FACTOR = torch.tensor([[0.0, 0.6, -0.6, 1.1]], dtype=torch.float64)
INSIDE = torch.tensor([[True, True, True, False]])


def test_only_the_centre_is_moved():
    x, y = FACTOR * CENTRE_RADIUS, scalar(0.0).expand(1, 4)
    at_centre, moved_x, moved_y = off_centre(x, y)
    assert (at_centre == INSIDE).all()
    assert (torch.hypot(moved_x, moved_y) >= CENTRE_RADIUS).all()
    assert moved_x[~INSIDE] == x[~INSIDE]


def test_centre_is_told_from_the_next_position_in_single_precision():
    x = (FACTOR * CENTRE_RADIUS).float()
    assert (off_centre(x, torch.zeros_like(x))[0] == INSIDE).all()


def test_a_vector_at_the_centre_becomes_zero():
    assert zero_where(scalar(0.0) == 0, scalar(1.0), scalar(2.0)) == (scalar(0.0), scalar(0.0))
