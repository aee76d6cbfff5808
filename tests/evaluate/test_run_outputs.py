from dataclasses import fields

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError
from lenspinn.evaluate import evaluate_run, run_outputs
from lenspinn.train import load_run
from lenspinn.worker_processes import Died


def bytes_of(outputs):
    arrays = {field.name: getattr(outputs, field.name) for field in fields(outputs)}
    arrays |= arrays.pop("scores") | arrays.pop("fitted")
    return {name: None if array is None else array.tobytes() for name, array in arrays.items()}


def test_any_number_of_processes_gives_the_same_bytes_and_this_one_the_same_numbers(run, store):
    trained, data = load_run(run), ImageStore.open(store)
    rows = np.arange(96)[::-1]  # two parts
    one, two = (run_outputs.run_outputs(trained, data, rows, workers=n) for n in (1, 2))
    assert bytes_of(one) == bytes_of(two)
    here = run_outputs.run_outputs(trained, data, rows)
    np.testing.assert_allclose(one.logits, here.logits, atol=1e-5)


def test_a_process_that_dies_twice_is_said(run, store, monkeypatch):
    monkeypatch.setattr(run_outputs, "in_processes", lambda work, parts, _: [(parts[0], Died())])
    with pytest.raises(DataError, match=r"images 0 to 64 died twice .*: give fewer workers"):
        run_outputs.run_outputs(load_run(run), ImageStore.open(store), np.arange(3), workers=1)


def test_a_network_that_other_processes_do_not_know_is_refused(run, store):
    trained = load_run(run)
    trained.model.config = trained.model.config | {"name": "my_network"}
    with pytest.raises(ConfigError, match=r"do not know 'my_network'.*leave workers out"):
        run_outputs.run_outputs(trained, ImageStore.open(store), np.arange(3), workers=1)


@pytest.mark.parametrize("workers", [-1, 10**6])
def test_impossible_workers_are_refused_before_anything_is_read(workers, tmp_path):
    with pytest.raises(ConfigError, match=f"workers is {workers}; give 1 to 1024 processes, or 0"):
        evaluate_run(tmp_path / "nothing", workers=workers)
