import importlib

import pytest

from lenspinn.models import create_model, names


def test_the_paper_models_are_listed():
    assert {"lenspinn_large", "lenspinn_small"} <= set(names.list_models())


@pytest.mark.parametrize("module", sorted(set(names.MODULES.values())))
def test_each_module_registers_the_names_that_are_listed_for_it(module):
    importlib.import_module(module)
    registered = {name for name, make in names.FACTORIES.items() if make.__module__ == module}
    assert registered == {name for name, where in names.MODULES.items() if where == module}


def test_a_registered_network_of_others_is_listed_too(monkeypatch):
    monkeypatch.setattr(names, "FACTORIES", {"mine": object})
    assert "mine" in names.list_models()


@pytest.mark.parametrize("name", sorted(names.MODULES))
def test_the_size_that_is_said_of_a_network_is_its_own(name):
    count = sum(parameter.numel() for parameter in create_model(name).parameters())
    assert names.NETWORKS[name].parameters == count
    assert len(names.NETWORKS[name].summary) <= 60


def test_no_other_network_is_described():
    assert names.NETWORKS.keys() == names.MODULES.keys()
