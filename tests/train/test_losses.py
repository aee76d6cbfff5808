import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.train.losses import LOSSES, find_loss, register_loss


def test_cross_entropy_is_known_by_name():
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 2])
    assert float(find_loss("cross_entropy")(logits, labels)) == pytest.approx(1.0986, abs=1e-4)


def test_a_loss_of_ones_own_is_found_once_it_is_registered(monkeypatch):
    monkeypatch.setattr("lenspinn.train.losses.LOSSES", dict(LOSSES))

    @register_loss
    def half(logits, labels):
        return logits.sum() / 2

    assert find_loss("half") is half
    with pytest.raises(ConfigError, match="already registered"):
        register_loss(half)


def test_an_unknown_loss_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match=r"no loss 'os.system'.*--import FILE.py"):
        find_loss("os.system")
