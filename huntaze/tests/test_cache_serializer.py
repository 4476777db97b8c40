"""Answers whether what is cached comes back as it was, and whether reading it may run anything."""

import pickle
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache

MOMENT = datetime(2026, 11, 23, 12, 0, 1, 250_000, tzinfo=UTC)


class Trap:
    """Says so when it is unpickled."""

    sprung = False

    def __reduce__(self) -> Any:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize(
    "value",
    [
        7,
        True,
        None,
        1.5,
        "é ✨",
        [1.0],
        {"a": None},
        MOMENT,
        date(2026, 11, 1),
        {"ok": False, "at": MOMENT},
        b"\x80\x00",
    ],
    ids=repr,
)
def test_what_is_cached_comes_back_as_it_was(value: Any) -> None:
    cache.set("kept", value)
    found = cache.get("kept", "nothing")
    assert (found, type(found)) == (value, type(value))


def test_rows_come_back_as_lists() -> None:
    cache.set("kept", ([(date(2026, 11, 1), 0, 3)], MOMENT))
    assert cache.get("kept") == [[[date(2026, 11, 1), 0, 3]], MOMENT]


@pytest.mark.parametrize(
    "value", [Decimal("1.5"), timedelta(1), {1}, [b"x"], Trap()], ids=lambda value: type(value).__name__
)
def test_what_would_come_back_as_something_else_is_not_taken(value: Any) -> None:
    with pytest.raises(TypeError):
        cache.set("kept", value)


def test_what_somebody_puts_into_redis_runs_nothing(redis_server: Any) -> None:
    redis_server.set(cache.make_key("kept"), pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="codec"):
        cache.get("kept")
    assert not Trap.sprung


def test_what_a_release_that_pickled_left_is_not_looked_at(redis_server: Any) -> None:
    redis_server.set("cache:1:kept", pickle.dumps(MOMENT))
    assert cache.get("kept", "nothing") == "nothing"
