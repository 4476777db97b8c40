"""Answers what a query answered a moment ago, from this process's memory. Touches nothing."""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import structlog
from django.db import models

logger = structlog.get_logger(__name__)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
# Whoever signs out, is disabled or loses a role is out within 30 s; this leaves room for a slow request.
REMEMBERED_SECONDS = 15.0
SIZE_MAX = 10_000


class Recent(Generic[K, V]):
    """What each request needs, remembered for some seconds; who must not be late asks with `fresh`.

    Each caller gets a copy of a row, because a model's instance holds on to what it is given and looks up; anything
    else must be something that nobody changes.
    """

    _all: "WeakSet[Recent[Any, Any]]" = WeakSet()

    def __init__(self, *, seconds: float = REMEMBERED_SECONDS) -> None:
        self._seconds = seconds
        self._found: dict[K, tuple[float, V]] = {}
        self._all.add(self)

    def get(self, key: K, ask: Callable[[], V], *, fresh: bool = False) -> V:
        # The wall clock, which tests can set; a clock that was put back makes what is known too young, and so unknown.
        now = time.time()
        known = self._found.get(key)
        if known is not None and not fresh and 0 <= now - known[0] < self._seconds:
            return _copied(known[1])
        value = ask()
        if len(self._found) >= SIZE_MAX:
            self._found.clear()
        self._found[key] = (now, value)
        return _copied(value)

    def forget(self) -> None:
        self._found.clear()

    @classmethod
    def forget_all(cls) -> None:
        """What every memory of this process holds; between tests, whose rows share ids."""
        for memory in cls._all:
            memory.forget()


class InTime(Generic[V]):
    """Asks something outside on a thread of its own, so that nothing waits for longer than `seconds` if that hangs."""

    _all: "WeakSet[InTime[Any]]" = WeakSet()

    def __init__(self, ask: Callable[[], V], *, seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._asked: Future[V] | None = None
        self.forget()
        self._all.add(self)

    def get(self) -> V | None:
        """The answer; None where it takes longer, and at once where it is still awaited from before.

        None too where asking broke, which is logged: a page that shows it among other things goes on.
        """
        asked = self._asked
        hangs = asked is not None and not asked.done()
        if asked is None or asked.done():
            asked = self._asked = self._pool.submit(self._ask)
        try:
            return asked.result(0 if hangs else self._seconds)
        except TimeoutError:
            return None
        except Exception:
            logger.exception("asking broke")
            return None

    def forget(self) -> None:
        """Await no answer from before."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="asked")
        self._asked = None

    @classmethod
    def forget_all(cls) -> None:
        """Between tests: what one has left unanswered keeps no other waiting."""
        for each in cls._all:
            each.forget()


def _copied(row: V) -> V:
    """As copy.copy of a model's instance, which goes by way of pickling it and takes six times as long."""
    if not isinstance(row, models.Model):
        return row
    twin = object.__new__(type(row))
    twin.__dict__.update(row.__dict__)
    known, state = row._state, models.base.ModelState()  # noqa: SLF001  Django's documented name
    state.__dict__.update(known.__dict__, fields_cache={**known.fields_cache})
    twin._state = state
    return twin
