import operator

import pytest

from lenspinn.errors import DataError
from lenspinn.worker_processes import Died, check_deaths, in_processes, in_this_process

DEADLY = "__import__('os')._exit(1)"


def test_tasks_are_done_here_in_their_order():
    assert list(in_this_process(operator.neg, [1, 2])) == [(1, -1), (2, -2)]


def test_a_task_that_ends_its_process_is_the_only_one_that_is_lost():
    tasks = ["abs(-1)", DEADLY, "abs(-2)", "abs(-3)"]  # for eval, which every process has
    found = dict(in_processes(eval, tasks, workers=2))
    assert isinstance(found.pop(DEADLY), Died)
    assert found == {"abs(-1)": 1, "abs(-2)": 2, "abs(-3)": 3}


def test_what_a_task_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(eval, ["1 / 0"], workers=1))


def test_processes_that_die_whatever_they_do_stop_the_work():
    check_deaths(3, done_any=True)
    with pytest.raises(DataError, match="the first 3 tasks each ended"):
        check_deaths(3, done_any=False)
