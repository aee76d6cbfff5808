import pytest
import torch
from torch.nn.functional import cross_entropy

from lenspinn.errors import ModelError
from lenspinn.models import create_model
from lenspinn.models.layers import LocalitySelfAttention
from lenspinn.models.lensformer import CrossBlock, FactorsOfAll, FactorsOfPatch

PUBLISHED = 15_795_013


@pytest.mark.parametrize(
    ("name", "parameters"), [("lensformer", 15_788_259), ("lensformer_patch8", 15_678_131)]
)
def test_parameter_counts_are_golden_and_those_of_the_authors(name, parameters):
    with torch.device("meta"):
        model = create_model(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameters
    assert count == pytest.approx(PUBLISHED, rel=0.02)


@pytest.mark.parametrize("kind", ["all", "patch"])
def test_factors_start_near_one_half(kind, generator):
    torch.manual_seed(0)
    factors = (
        FactorsOfAll(16, num_tokens=5, dim=24)
        if kind == "all"
        else FactorsOfPatch(16, patch_size=8, dim=24)
    )
    found = factors(torch.randn(3, 5, 24, generator=generator))
    assert found.shape == (3, 16, 16)
    # a score of spread 0.1 moves the sigmoid by 0.025: six sigma
    assert (found - 0.5).abs().max() < 0.15


def test_factors_of_a_patch_depend_on_its_token_alone(generator):
    factors = FactorsOfPatch(12, patch_size=8, dim=24)
    tokens = torch.randn(1, 5, 24, generator=generator)
    before = factors(tokens)
    tokens[0, 2] = 0  # after the class token, the second patch: right of the first
    changed = (factors(tokens) != before)[0]
    assert changed[:8, 8:].all()
    assert changed.sum() == 8 * 4


def test_the_source_asks_and_never_takes_its_own_position(generator):
    attention = LocalitySelfAttention(8, num_heads=2, head_dim=4, num_tokens=3)
    block = CrossBlock(8, attention, mlp_dim=8)
    tokens, query, key = torch.randn(3, 1, 3, 8, generator=generator)
    before = block(tokens, query=query, key=key)
    query[0, 1] += torch.randn(8, generator=generator)
    changed = (block(tokens, query=query, key=key) != before).any(dim=2)[0]
    assert changed.tolist() == [False, True, False]


def test_every_parameter_that_predicts_the_lens_learns_through_the_source(images, labels):
    torch.manual_seed(0)
    model = create_model("lensformer", num_pix=40).eval()
    cross_entropy(model(images), labels).backward()
    for part in (model.lens_blocks, model.factors):
        for name, parameter in part.named_parameters():
            assert parameter.grad.abs().max() > 0, name


def test_a_transform_beyond_0_to_1_traces_no_pixel_out_of_the_field(images):
    model = create_model("lensformer", num_pix=40, transform="raw").eval()
    assert model(100 * images).isfinite().all()


def test_an_image_of_one_patch_is_refused():
    with pytest.raises(ModelError, match="num_pix is 32; Lensformer needs more than one patch"):
        create_model("lensformer", num_pix=32)
