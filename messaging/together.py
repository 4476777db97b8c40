"""Answers callers who want the same kind of thing at the same time: it is done for all of them in one go.
Touches nothing itself."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")


@dataclass(slots=True)
class _Round(Generic[W, R]):
    wanted: list[W] = field(default_factory=list)
    done: "Future[R]" = field(default_factory=Future)


class Together(Generic[W, R]):
    """Who comes while nothing is under way goes at once; those who come meanwhile go next, as one.

    Nobody waits for a clock or for another thread than a caller's own, so there is nothing to start, stop or drain,
    and for a caller who is alone nothing is different. work: does all that several callers want; what it answers or
    raises, each of them gets.
    """

    def __init__(self, work: Callable[[list[W]], R]) -> None:
        self._work = work
        self._next: _Round[W, R] | None = None
        self._lock = threading.Lock()
        self._under_way = threading.Lock()

    def do(self, wanted: Sequence[W]) -> R:
        """Have it done, by this caller or by the one who came before it."""
        with self._lock:
            leads = self._next is None
            mine = self._next = self._next or _Round()
            mine.wanted += wanted
        if not leads:
            return mine.done.result()
        try:
            with self._under_way:
                self._close(mine)
                mine.done.set_result(self._work(mine.wanted))
        except BaseException as error:
            self._close(mine)
            mine.done.set_exception(error)
        return mine.done.result()

    def _close(self, mine: _Round[W, R]) -> None:
        """Nobody joins any more."""
        with self._lock:
            if self._next is mine:
                self._next = None
