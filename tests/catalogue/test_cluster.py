import os
import signal
import threading

import pyarrow.parquet
import pytest

from lenspinn.catalogue import run_catalogue
from lenspinn.catalogue.cluster import connected, on_cluster, slurm_cluster
from lenspinn.errors import ConfigError

NAP = "__import__('time').sleep(0.2) or {}"
"""For eval, which every process has: a number, after a while."""

pytestmark = [
    # of distributed, whose threads and sockets end when the collector finds them
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own, on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as workers:
        yield workers


def test_no_task_is_lost_or_done_twice_when_a_worker_is_killed(cluster):
    tasks = [NAP.format(number) for number in range(20)]
    with connected(cluster.scheduler_address) as client:
        victim = next(iter(client.run(os.getpid).values()))
        kill = threading.Timer(0.7, os.kill, (victim, signal.SIGKILL))
        kill.start()
        found = list(on_cluster(eval, tasks, client))
        kill.join()
        assert victim not in client.run(os.getpid).values()
    assert sorted(result for _, result in found) == list(range(20))


def test_a_catalogue_of_a_cluster_is_that_of_this_process(cluster, lenses, tmp_path):
    table = tmp_path / "missing.csv"
    table.write_text("\n".join(["image", *(f"lens_{n}.fits" for n in range(6))]) + "\n")
    run_catalogue(
        table, out=tmp_path / "there", scheduler=cluster.scheduler_address, progress=False
    )
    run_catalogue(table, out=tmp_path / "here", workers=0, progress=False)
    there, here = (
        pyarrow.parquet.read_table(tmp_path / place / "catalogue.parquet")
        for place in ("there", "here")
    )
    assert there.equals(here)
    assert there.num_rows == 6


def test_a_scheduler_that_does_not_answer_is_refused(monkeypatch):
    monkeypatch.setattr("lenspinn.catalogue.cluster.PATIENCE", 0.2)
    with pytest.raises(ConfigError, match="no Dask scheduler answers at tcp:"):
        connected("tcp://127.0.0.1:9").__enter__()


def test_slurm_without_a_configuration_is_refused(monkeypatch):
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(ConfigError, match=r"say what each job needs in ~/\.config/dask"):
        slurm_cluster(1).__enter__()


@pytest.mark.parametrize("use", [lambda: connected("tcp://a:1"), lambda: slurm_cluster(1)])
def test_without_dask_the_sentence_says_how_to_install_it(monkeypatch, use):
    import importlib

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'lenspinn\[dask\]'"):
        use().__enter__()
