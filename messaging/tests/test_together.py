"""Answers whether callers who come at the same time are served in one go, and each with what became of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from messaging.together import Together

WAIT_SECONDS = 10


class Work:
    """Does what is wanted once it may, and remembers what it was asked for in one go."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.may = threading.Semaphore(0)

    def __call__(self, wanted: list[str]) -> dict[str, str]:
        self.rounds.append(list(wanted))
        self.begun.release()
        assert self.may.acquire(timeout=WAIT_SECONDS)
        if "poison" in wanted:
            raise ValueError(wanted)
        return {each: each.upper() for each in wanted}


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def joined(together: Together, count: int) -> None:
    """Return once so many wishes wait for the next round."""
    end = threading.Event()
    for _ in range(WAIT_SECONDS * 100):
        if together._next is not None and len(together._next.wanted) == count:
            return
        end.wait(0.01)
    raise AssertionError("They did not come.")


def test_a_caller_who_is_alone_is_served_at_once(work):
    work.may.release()
    assert Together(work).do(["a"]) == {"a": "A"}
    assert work.rounds == [["a"]]


def test_those_who_come_meanwhile_are_served_next_and_as_one(work, pool):
    together = Together(work)
    first = pool.submit(together.do, ["a"])
    work.begun.acquire(timeout=WAIT_SECONDS)
    others = [pool.submit(together.do, [each]) for each in "bcd"]
    joined(together, 3)
    work.may.release(2)
    assert first.result(WAIT_SECONDS) == {"a": "A"}
    assert [other.result(WAIT_SECONDS) for other in others] == [{"b": "B", "c": "C", "d": "D"}] * 3
    assert [sorted(each) for each in work.rounds] == [["a"], ["b", "c", "d"]]


def test_trouble_is_told_to_all_of_a_round_and_to_nobody_after_it(work, pool):
    together = Together(work)
    first = pool.submit(together.do, ["a"])
    work.begun.acquire(timeout=WAIT_SECONDS)
    others = [pool.submit(together.do, [each]) for each in ("b", "poison")]
    joined(together, 2)
    work.may.release(3)
    assert first.result(WAIT_SECONDS) == {"a": "A"}
    for other in others:
        with pytest.raises(ValueError, match="poison"):
            other.result(WAIT_SECONDS)
    assert together.do(["c"]) == {"c": "C"}
