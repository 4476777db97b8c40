"""Answers whether each message comes out of the lanes once, in its turn, and holds up no other creator's."""

import threading
import time
from uuid import UUID

import pytest

from messaging.lanes import LANE_MAX, Lanes, Turn


def turn(number: int, *, creator: int = 1, campaign: bool = False, keep: float = 60) -> Turn[int]:
    return Turn(
        item=number,
        creator_id=creator,
        campaign=campaign,
        order=UUID(int=number),
        keep_until=time.monotonic() + keep,
    )


@pytest.fixture
def lanes() -> Lanes[int]:
    return Lanes()


def take(lanes: Lanes[int]) -> Turn[int]:
    found = lanes.take()
    assert found is not None
    return found


def test_one_at_a_time_of_a_creator_and_others_meanwhile(lanes):
    for each in (turn(1), turn(2), turn(3, creator=2)):
        lanes.put(each)
    first, other = take(lanes), take(lanes)
    assert [first.item, other.item] == [1, 3]
    assert lanes.ready() == 0
    lanes.done(first)
    assert take(lanes).item == 2


def test_replies_go_before_campaigns_and_what_was_written_first_goes_first(lanes):
    for each in (turn(4, campaign=True), turn(3, campaign=True), turn(9), turn(8)):
        lanes.put(each)
    found = []
    for _ in range(4):
        found.append(take(lanes))
        lanes.done(found[-1])
    assert [each.item for each in found] == [8, 9, 3, 4]


def test_a_campaign_that_waits_for_tokens_lets_a_reply_ask(lanes):
    lanes.put(turn(1, campaign=True))
    lanes.later(take(lanes), seconds=30, alone=False)
    lanes.put(turn(2))
    assert take(lanes).item == 2


def test_a_reply_that_waits_holds_back_the_campaign_too(lanes):
    lanes.put(turn(1))
    lanes.later(take(lanes), seconds=30, alone=False)
    lanes.put(turn(2, campaign=True))
    assert lanes.ready() == 0


def test_a_message_that_waits_alone_holds_back_nobody(lanes):
    lanes.put(turn(1))
    lanes.put(turn(2))
    lanes.later(take(lanes), seconds=30, alone=True)
    assert take(lanes).item == 2


def test_it_comes_again_when_its_wait_is_over(lanes):
    lanes.put(turn(1))
    began = time.monotonic()
    lanes.later(take(lanes), seconds=0.1, alone=False)
    assert take(lanes).item == 1
    assert 0.1 <= time.monotonic() - began < 1


def test_what_cannot_be_kept_any_longer_comes_before_its_turn(lanes):
    lanes.put(turn(1, keep=0.1))
    lanes.later(take(lanes), seconds=30, alone=False)
    assert take(lanes).item == 1


def test_after_one_went_out_the_next_waits_for_the_gap_without_asking(lanes):
    lanes.put(turn(1))
    lanes.put(turn(2))
    lanes.later(take(lanes), seconds=0, alone=False, gap=30)
    lanes.done(take(lanes))
    assert (lanes.held, lanes.ready()) == (1, 0)


def test_more_than_a_lane_holds_is_not_kept(lanes):
    for number in range(LANE_MAX):
        lanes.put(turn(number))
    lanes.later(take(lanes), seconds=30, alone=False)
    lanes.put(turn(99))
    found = take(lanes)
    assert (found.item, found.keep_until) == (99, 0)
    lanes.done(found)
    assert (lanes.held, lanes.ready()) == (LANE_MAX, 0)


def test_a_full_lane_makes_room_for_a_reply(lanes):
    for number in range(LANE_MAX):
        lanes.put(turn(number, campaign=True))
    lanes.later(take(lanes), seconds=30, alone=False)
    lanes.put(turn(99))
    assert take(lanes).item == 99


def test_somebody_who_waits_gets_what_is_put_in(lanes):
    found = []
    waiting = threading.Thread(target=lambda: found.append(lanes.take()))
    waiting.start()
    lanes.put(turn(1))
    waiting.join(5)
    assert [each.item for each in found] == [1]


def test_closed_it_gives_back_what_waits_and_takes_nothing_in(lanes):
    for number in range(3):
        lanes.put(turn(number))
    busy = take(lanes)
    assert sorted(lanes.close()) == [1, 2]
    assert lanes.take() is None
    assert not lanes.put(turn(7))
    assert not lanes.later(busy, seconds=1, alone=False)
    assert lanes.held == 0
