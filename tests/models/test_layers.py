import pytest
import torch

from lenspinn.models.layers import (
    EqualizedLinear,
    LocalitySelfAttention,
    PatchMap,
    PatchTokens,
    SelfAttention,
    ShiftedPatchTokens,
    TransformerBlock,
)

EXACT = 1e-6  # float32, sums of a few hundred terms of order one


def test_a_64_pixel_image_gives_four_patches_and_a_class_token():
    tokens = ShiftedPatchTokens(64, patch_size=32, dim=24)
    assert tokens.num_tokens == 5
    assert tokens(torch.rand(2, 1, 64, 64)).shape == (2, 5, 24)


def test_an_image_that_patches_do_not_divide_is_padded():
    tokens = ShiftedPatchTokens(75, patch_size=32, dim=24)
    assert tokens(torch.rand(2, 1, 75, 75)).shape == (2, 1 + 9, 24)


def test_a_patch_holds_its_own_pixels_and_those_half_a_patch_away(generator):
    image = torch.rand(1, 1, 8, 8, generator=generator)
    tokens = ShiftedPatchTokens(8, patch_size=4, dim=6)
    first = tokens._patches(image)[0, 0].view(5, 4, 4)
    around = torch.nn.functional.pad(image[0, 0], (2, 2, 2, 2))
    windows = [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]  # corners in the padded image
    expected = torch.stack([around[y : y + 4, x : x + 4] for y, x in windows])
    assert torch.equal(first, expected)


def test_patches_run_along_x_first(generator):
    image = torch.rand(1, 1, 8, 12, generator=generator)[..., :8]
    patches = ShiftedPatchTokens(8, patch_size=4, dim=6)._patches(image)[0].view(4, 5, 4, 4)
    corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
    expected = torch.stack([image[0, 0, y : y + 4, x : x + 4] for y, x in corners])
    assert torch.equal(patches[:, 0], expected)


def test_patches_hold_every_channel_one_after_the_other(generator):
    image = torch.rand(1, 2, 8, 8, generator=generator)
    patches = PatchTokens(8, patch_size=4, dim=6, num_channels=2)._patches(image)
    assert torch.equal(patches[0, 1].view(2, 4, 4), image[0, :, :4, 4:])


def test_normalized_tokens_forget_scale_and_level_of_a_patch(generator):
    tokens = PatchTokens(8, patch_size=4, dim=6, normalize=True)
    image = torch.rand(1, 1, 8, 8, generator=generator)
    # layer normalisation adds 1e-5 to variances of order 0.1
    assert torch.allclose(tokens(10 * image + 3), tokens(image), rtol=0, atol=1e-3)


def test_a_patch_map_puts_each_token_where_its_patch_was(generator):
    patches = torch.rand(2, 9, 5, generator=generator)
    patch_map = PatchMap()(patches)
    assert torch.equal(patch_map[:, :, 1, 2], patches[:, 5])
    assert torch.equal(PatchMap.tokens(patch_map), patches)


def test_attention_with_equal_scores_is_the_mean_of_the_values(generator):
    attention = SelfAttention(8, num_heads=2, head_dim=6)
    tokens = torch.randn(1, 3, 8, generator=generator)
    with torch.no_grad():
        attention.query_key_value.weight[:24] = 0
    value = tokens @ attention.query_key_value.weight[24:].T
    expected = attention.project(value.mean(dim=1, keepdim=True)).expand(-1, 3, -1)
    assert torch.allclose(attention(tokens), expected, rtol=0, atol=EXACT)


def test_no_token_attends_to_itself(generator):
    attention = LocalitySelfAttention(8, num_heads=2, head_dim=4, num_tokens=3)
    tokens = torch.randn(1, 3, 8, generator=generator)
    # With value and output projections alone, what comes out of token 0 is a mean of the others.
    with torch.no_grad():
        attention.query_key_value.weight[:16] = 0  # all scores equal
    value = tokens @ attention.query_key_value.weight[16:].T
    expected = attention.project((value[:, 1] + value[:, 2]) / 2)
    assert torch.allclose(attention(tokens)[:, 0], expected, rtol=0, atol=EXACT)


def test_a_low_temperature_makes_attention_pick_one_token(generator):
    attention = LocalitySelfAttention(8, num_heads=1, head_dim=8, num_tokens=4)
    tokens = torch.randn(1, 4, 8, generator=generator)
    with torch.no_grad():
        attention.temperature.fill_(1e-4)
    query, key, value = attention.query_key_value(tokens).chunk(3, dim=-1)
    picked = (query[0, 0] @ key[0, 1:].T).argmax() + 1
    expected = attention.project(value[:, picked])
    assert torch.allclose(attention(tokens)[:, 0], expected, rtol=0, atol=EXACT)


def test_every_parameter_of_a_block_gets_a_gradient(generator):
    attention = LocalitySelfAttention(16, num_heads=4, head_dim=6, num_tokens=5)
    block = TransformerBlock(16, attention, mlp_dim=8)
    block(torch.randn(3, 5, 16, generator=generator)).square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("width", [16, 1024])
def test_outputs_of_an_equalized_layer_start_with_the_given_spread(width):
    torch.manual_seed(0)
    layer = EqualizedLinear(width, 2000, std=0.5)
    outputs = layer(torch.ones(1, width))
    # the spread of 2000 normal numbers is known to 1.6 %: five sigma
    assert outputs.std().item() == pytest.approx(0.5, rel=0.08)


@pytest.mark.parametrize("width", [16, 1024])
def test_an_adam_step_moves_an_equalized_output_by_the_root_of_its_width(width):
    layer = EqualizedLinear(width, 1, std=1.0)
    layer.bias.requires_grad_(False)
    inputs = torch.ones(1, width)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    before = layer(inputs)
    before.sum().backward()
    optimizer.step()
    # float32 differences of numbers of order one
    assert (before - layer(inputs)).item() == pytest.approx(1e-3 * width**0.5, rel=1e-3)
