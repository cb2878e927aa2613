"""A worker takes its share of the time and no more, and ends when it is told."""

import threading

from sqlalchemy.exc import OperationalError

from coldchain.bootstrap import worker as worker_module
from coldchain.bootstrap.worker import Worker


def test_a_worker_that_rests_ends_at_once_when_told():
    took = threading.Event()

    def step():
        took.wait(0.01)
        took.set()
        return True

    worker = Worker("test", step, 0.01, rests=1e6)
    with worker.started():
        assert took.wait(10)


def test_a_worker_without_rests_goes_on_until_nothing_waits():
    steps, done = iter([True, True, False]), threading.Event()
    taken = []

    def step():
        more = next(steps, None)
        taken.append(more)
        if more is False:
            done.set()
        return bool(more)

    worker = Worker("test", step, 0.01)
    with worker.started():
        assert done.wait(10)
    assert taken[:3] == [True, True, False]
    assert worker.fault == ""


def test_a_fault_is_told_without_the_statement_it_came_from_and_ends_with_it(monkeypatch):
    monkeypatch.setattr(worker_module, "RETRY_S", 0.05)
    faults, done = [], threading.Event()

    def step():
        faults.append(worker.fault)
        if len(faults) == 1:
            raise OperationalError("UPDATE token SET secret = :s", {"s": "hidden"}, Exception("disk is full"))
        if len(faults) == 3:
            done.set()
        return len(faults) == 2

    worker = Worker("test", step, 0.01)
    with worker.started():
        assert done.wait(10)
    assert faults[1] == "OperationalError: disk is full"
    assert worker.fault == ""
