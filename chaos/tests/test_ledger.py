"""Answers whether the ledger finds each promise that was broken, and only those."""

from collections.abc import Sequence

import pytest

from chaos.ledger import Arrival, Evidence, Ledger, Message, Row, Wish, ledger_make, ledger_text
from messaging.rate_limiter import Limit

LIMIT = Limit(messages=3, window_ms=1_000, gap_ms=100, lease_ms=500)


def to(text: str, fan: str = "7") -> Message:
    return Message("acct", fan, text)


def wish(text: str, asked_at: float = 0, **changes: object) -> Wish:
    values = {"answered_at": asked_at + 0.1, "accepted": True, **changes}
    return Wish(message=to(text), asked_at=asked_at, **values)


def row(text: str, state: str = "sent", **changes: object) -> Row:
    return Row(message=to(text), state=state, **changes)


def arrival(text: str, at_ms: int, key: str = "k") -> Arrival:
    return Arrival(to(text), at_ms, key)


def ledger(
    wishes: Sequence[Wish] = (), rows: Sequence[Row] = (), arrivals: Sequence[Arrival] = (), dead_letters: str = ""
) -> Ledger:
    """dead_letters: the texts of those that have a copy there, one letter each."""
    return ledger_make(Evidence(wishes, rows, arrivals, [to(text) for text in dead_letters]), limit=LIMIT)


def broken(found: Ledger) -> dict[str, int]:
    return {name: len(rows) for name, rows in found.broken.items() if rows}


def test_what_was_accepted_and_came_once_in_order_and_in_time_is_clean() -> None:
    found = ledger([wish("a", 0), wish("b", 1)], [row("a"), row("b")], [arrival("a", 0), arrival("b", 100)])
    assert found.clean
    assert (found.accepted, found.delivered, found.dead_letters) == (2, 2, 0)
    assert (found.most_in_a_window, found.smallest_gap_ms) == (2, 100)


def test_one_that_came_twice_is_doubled_even_under_another_key() -> None:
    found = ledger([wish("a")], [row("a")], [arrival("a", 0, "k1"), arrival("a", 5_000, "k2")])
    assert broken(found) == {"doubled": 1}
    assert "k2" in found.broken["doubled"][0]
    assert found.delivered == 1


def test_one_whose_caller_got_an_error_must_not_come_twice_either() -> None:
    unanswered = wish("a", answered_at=None, accepted=False)
    found = ledger([unanswered], [row("a")], [arrival("a", 0), arrival("a", 5_000)])
    assert broken(found) == {"doubled": 1}
    assert (found.accepted, found.unanswered) == (0, 1)


@pytest.mark.parametrize("rows", [[], [row("a")], [row("a", "failed")], [row("a", "cancelled")]])
def test_one_that_was_accepted_and_never_came_is_lost(rows: list[Row]) -> None:
    assert broken(ledger([wish("a")], rows)) == {"lost": 1}


def test_one_that_is_said_to_be_sent_and_never_came_is_lost_though_nobody_was_told() -> None:
    assert broken(ledger([wish("a", answered_at=None, accepted=False)], [row("a")])) == {"lost": 1}


def test_one_that_failed_with_a_reason_is_counted_and_not_lost() -> None:
    found = ledger([wish("a")], [row("a", "failed", reason_code="given_up", reason="Nobody came to an end with it.")])
    assert found.clean
    assert found.failed == {"given_up": 1}


def test_what_nobody_stored_and_nobody_was_told_is_no_loss() -> None:
    assert ledger([wish("a", answered_at=None, accepted=False)]).clean


@pytest.mark.parametrize("state", ["pending", "queued", "parked", "sending"])
def test_one_that_is_open_at_the_end_is_unfinished(state: str) -> None:
    assert broken(ledger([wish("a")], [row("a", state)])) == {"unfinished": 1}


def test_a_doubt_that_would_be_resolved_is_unfinished() -> None:
    rows = [row("a", "unknown", reason_code="timeout", reason="?", repeatable=True)]
    assert broken(ledger([wish("a")], rows)) == {"unfinished": 1}


def test_a_doubt_that_no_fault_of_the_platform_gives_is_unexplained() -> None:
    assert broken(ledger([wish("a")], [row("a", "unknown", reason_code="lease_expired", reason="?")])) == {
        "unexplained": 1
    }


@pytest.mark.parametrize("arrivals", [[], [arrival("a", 0)]])
def test_an_honest_doubt_is_counted_whether_it_came_or_not(arrivals: list[Arrival]) -> None:
    found = ledger([wish("a")], [row("a", "unknown", reason_code="vendor_trouble", reason="500")], arrivals)
    assert found.clean
    assert found.unknown == {"vendor_trouble": 1}


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_one_that_is_said_to_have_failed_and_came_is_contradicted(state: str) -> None:
    assert broken(ledger([wish("a")], [row("a", state, reason="no")], [arrival("a", 0)])) == {"contradicted": 1}


def test_one_that_was_refused_may_come_where_its_row_says_so() -> None:
    refused = wish("a", accepted=False, refused=True)
    assert ledger([refused], [row("a")], [arrival("a", 0)]).clean
    assert broken(ledger([refused], [row("a", "unknown", reason_code="vendor_trouble")], [arrival("a", 0)])) == {
        "contradicted": 1
    }


def test_one_that_overtook_an_earlier_one_to_its_fan_is_out_of_order() -> None:
    found = ledger([wish("a", 0), wish("b", 1)], [row("a"), row("b")], [arrival("b", 0), arrival("a", 200)])
    assert broken(found) == {"out of order": 1}
    assert "'b'" in found.broken["out of order"][0]


def test_calls_that_overlap_or_had_no_answer_have_no_order() -> None:
    arrivals = [arrival("b", 0), arrival("a", 200)]
    rows = [row("a"), row("b")]
    assert ledger([wish("a", 0), wish("b", 0.05)], rows, arrivals).clean
    assert ledger([wish("a", 0, answered_at=None, accepted=False), wish("b", 1)], rows, arrivals).clean


def test_a_reply_may_overtake_a_campaign_and_not_the_other_way_round() -> None:
    rows = [row("a"), row("b")]
    arrivals = [arrival("b", 0), arrival("a", 200)]
    assert ledger([wish("a", 0, campaign=True), wish("b", 1)], rows, arrivals).clean
    assert broken(ledger([wish("a", 0), wish("b", 1, campaign=True)], rows, arrivals)) == {"out of order": 1}


def test_one_more_than_a_window_holds_is_over_the_limit() -> None:
    texts = "abcd"
    wishes = [wish(text, answered_at=None) for text in texts]
    rows = [row(text) for text in texts]
    at = [arrival(text, place * 300) for place, text in enumerate(texts)]
    found = ledger(wishes, rows, at)
    assert broken(found) == {"over the limit": 1}
    assert found.most_in_a_window == 4
    assert ledger(wishes, rows, [*at[:3], arrival("d", 1_000)]).clean


def test_another_account_has_a_limit_of_its_own() -> None:
    other = Message("other", "7", "b")
    wishes = [wish("a"), Wish(other, 0, 1, accepted=True)]
    assert ledger(wishes, [row("a"), Row(other, "sent")], [arrival("a", 0), Arrival(other, 1)]).clean


def test_two_that_came_closer_than_the_gap_are_too_close() -> None:
    found = ledger([wish("a", 0), wish("b", 1)], [row("a"), row("b")], [arrival("a", 0), arrival("b", 90)])
    assert broken(found) == {"too close": 1}
    assert found.smallest_gap_ms == 90


def test_what_nobody_asked_for_is_strange() -> None:
    assert broken(ledger(arrivals=[arrival("a", 0)])) == {"strange": 1}


def test_the_text_names_the_rows_and_says_how_many_it_left_out() -> None:
    texts = [f"t{number}" for number in range(5)]
    text = ledger_text(ledger([wish(each) for each in texts]), limit=LIMIT, rows_each=2)
    assert "LOST" in text
    assert "'t0': no row" in text
    assert "and 3 more" in text


@pytest.mark.parametrize(
    ("state", "stage", "dead_letters", "misburied"),
    [
        ("failed", "send", "a", 0),
        ("failed", "send", "", 1),
        ("failed", "send", "aa", 1),
        ("failed", "enqueue", "", 0),
        ("failed", "enqueue", "a", 1),
        ("sent", "", "a", 1),
    ],
)
def test_each_message_that_failed_while_it_was_sent_has_one_copy_there(
    state: str, stage: str, dead_letters: str, misburied: int
) -> None:
    arrivals = [arrival("a", 0)] if state == "sent" else []
    rows = [row("a", state, stage=stage, reason="no")]
    found = ledger([wish("a")], rows, arrivals, dead_letters=dead_letters)
    assert broken(found).get("misburied", 0) == misburied
    assert found.dead_letters == len(dead_letters)
