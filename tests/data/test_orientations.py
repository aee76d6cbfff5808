import torch

from lenspinn.data.orientations import NUM_ORIENTATIONS, flip_and_turn, mean_over_orientations


def test_the_eight_orientations_are_the_quarter_turns_of_the_image_and_its_mirror_image():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    every = flip_and_turn(image.expand(8, 1, 4, 4), torch.arange(NUM_ORIENTATIONS))
    wanted = [
        turned
        for start in (image, image.flip(-1))
        for turned in (torch.rot90(start, turns, (-2, -1)) for turns in range(4))
    ]
    found = {tuple(one.flatten().tolist()) for one in every}
    assert found == {tuple(one.flatten().tolist()) for one in wanted}
    assert len(found) == NUM_ORIENTATIONS


def test_each_image_has_an_orientation_of_its_own():
    images = torch.arange(32.0).reshape(2, 1, 4, 4)
    turned = flip_and_turn(images, torch.tensor([0, 1]))
    assert torch.equal(turned[0], images[0])
    assert torch.equal(turned[1], images[1].flip(-1))


def test_the_mean_over_orientations_is_that_of_the_turned_image_too():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 3), torch.nn.Tanh())
    image = torch.randn(8, 2, 4, 4)
    turned = flip_and_turn(image, torch.arange(NUM_ORIENTATIONS))
    assert not torch.allclose(network(turned), network(image))
    found = mean_over_orientations(network, image)
    torch.testing.assert_close(mean_over_orientations(network, turned), found)


def test_the_image_as_it_is_comes_last():
    seen = []
    image = torch.randn(1, 1, 4, 4)
    mean_over_orientations(lambda each: seen.append(each) or each.flatten(1), image)
    assert len(seen) == NUM_ORIENTATIONS
    assert torch.equal(seen[-1], image)
