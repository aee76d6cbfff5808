import torch

from lenspinn.fitting.span import apart_from, orthonormal_span

# float32, of images of length 1.
ROUNDING = 1e-5


def templates(generator):
    """Two batches of three templates, of which the second is a sum of the others in one."""
    drawn = torch.randn(2, 3, 8, 8, generator=generator)
    drawn[1, 1] = drawn[1, 0] - 2 * drawn[1, 2]
    return drawn


def test_a_span_is_orthonormal_and_as_large_as_its_templates_are_different(generator):
    rows = orthonormal_span(templates(generator)).flatten(2)
    both = rows @ rows.mT
    expected = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, 1.0, 0.0]))])
    torch.testing.assert_close(both, expected, atol=ROUNDING, rtol=0)


def test_nothing_is_left_of_templates_apart_from_their_span(generator):
    drawn = templates(generator)
    left = apart_from(orthonormal_span(drawn), drawn)
    assert left.abs().max() <= ROUNDING * drawn.abs().max()


def test_what_is_apart_stays_as_it_is(generator):
    span = orthonormal_span(templates(generator))
    left = apart_from(span, torch.randn(2, 5, 8, 8, generator=generator))
    torch.testing.assert_close(apart_from(span, left), left, atol=ROUNDING, rtol=0)


def test_templates_that_are_0_span_nothing(generator):
    maps = torch.randn(2, 4, 8, 8, generator=generator)
    assert (apart_from(orthonormal_span(torch.zeros(2, 3, 8, 8)), maps) == maps).all()


def test_there_may_be_no_templates(generator):
    maps = torch.randn(2, 4, 8, 8, generator=generator)
    assert (apart_from(orthonormal_span(maps[:, :0]), maps) == maps).all()
