"""Answers whether slots keep the limit, whatever came before."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from messaging.slots import capacity, grouped, slot_next, ungrouped

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
milliseconds = st.integers(0, 100_000).map(lambda n: timedelta(milliseconds=n))


@given(
    waits=st.lists(st.integers(-5_000, 100_000).map(lambda n: timedelta(milliseconds=n)), min_size=1, max_size=60),
    size=st.integers(1, 12),
    window=milliseconds,
    gap=milliseconds,
)
def test_any_history_keeps_window_gap_and_order(waits, size, window, gap):
    slots, earliest = [], START
    for wait in waits:
        earliest += wait
        slot = slot_next(slots[-size:], not_before=earliest, capacity=size, window=window, gap=gap)
        assert slot >= earliest
        slots.append(slot)
    assert all(later - slot >= gap for slot, later in itertools.pairwise(slots))
    assert all(later - slot >= window for slot, later in zip(slots, slots[size:], strict=False))
    assert slots == sorted(slots)


@given(
    history=st.lists(milliseconds, max_size=20).map(lambda waits: sorted(START + wait for wait in waits)),
    size=st.integers(1, 12),
    window=milliseconds,
    gap=milliseconds,
)
def test_a_slot_is_no_later_than_it_must_be(history, size, window, gap):
    slot = slot_next(history, not_before=START, capacity=size, window=window, gap=gap)
    reasons = {START}
    if history:
        reasons.add(history[-1] + gap)
    if len(history) >= size:
        reasons.add(history[-size] + window)
    assert slot == max(reasons)


def test_the_first_slot_is_now():
    slot = slot_next([], not_before=START, capacity=10, window=timedelta(minutes=1), gap=timedelta(seconds=3))
    assert slot == START


def test_a_campaign_leaves_two_places_for_replies():
    assert capacity(limit=10, campaign=True) == 8
    assert capacity(limit=10, campaign=False) == 10


def test_a_low_limit_still_lets_a_campaign_go():
    assert [capacity(limit=limit, campaign=True) for limit in (1, 2, 3)] == [1, 1, 1]


def seconds(*numbers):
    return [START + timedelta(seconds=number) for number in numbers]


def test_a_group_comes_with_its_first_and_the_last_message_in_its_own_slot():
    slots = seconds(0, 3, 6, 60, 63, 66)
    assert grouped(slots, most=10, span=timedelta(seconds=30)) == seconds(0, 0, 0, 60, 60, 66)
    assert grouped(slots, most=2, span=timedelta(seconds=30)) == seconds(0, 0, 6, 60, 60, 66)
    assert grouped([], most=2, span=timedelta(seconds=30)) == []


@given(
    slots=st.lists(milliseconds, min_size=1, max_size=40).map(lambda waits: sorted(START + wait for wait in waits)),
    most=st.integers(1, 10),
    span=milliseconds,
)
def test_a_group_is_no_larger_and_reaches_no_further_than_it_may(slots, most, span):
    due = grouped(slots, most=most, span=span)
    assert due == sorted(due)
    assert due[-1] == slots[-1]
    assert all(timedelta(0) <= slot - at <= span for slot, at in zip(slots, due, strict=True))


def test_what_a_group_takes_up_is_its_slots():
    assert ungrouped(seconds(0, 0, 0, 60, 60), gap=timedelta(seconds=3)) == seconds(0, 3, 6, 60, 63)
