"""Answers whether the vendor's JSON is read as it is meant, and what is strange is named."""

from datetime import UTC, datetime

import pytest

from crm.errors import Unreadable
from onlyfans.event_payloads import Envelope, cents, fan_of, html_to_text, kind_of, line_of, moment, transaction_of
from onlyfans.gateway import text_to_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hi</p>", "Hi"),
        ("<p>one</p><p>two<br/>three</p>", "one\ntwo\nthree"),
        ("a &lt;b&gt; &amp; c &#8364;", "a <b> & c €"),
        ('<a href="https://x.example">here</a>, <strong>you</strong>', "here, you"),
        ("<script>alert(1)</script><style>p{}</style>seen", "seen"),
        ("no tags < at all", "no tags < at all"),
        ("a\x00b\ud800c", "abc"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize("text", ["Hi", "two\nlines", "1 < 2 & 3 > 2", 'say "no"', "&amp; stays", "a\n\nb"])
def test_what_we_send_reads_back_the_same(text: str) -> None:
    assert html_to_text(f"<p>{text_to_html(text)}</p>") == text


@pytest.mark.parametrize(("value", "expected"), [(6.97, 697), (7, 700), ("12.5", 1_250), (0, 0), (0.1 + 0.2, 30)])
def test_dollars_become_cents(value: object, expected: int) -> None:
    assert cents(value, "price") == expected


@pytest.mark.parametrize("value", [True, None, "x", -1, float("nan"), float("inf"), 1e300, [], "1e999999999"])
def test_what_is_no_amount_is_named(value: object) -> None:
    with pytest.raises(Unreadable, match="price"):
        cents(value, "price")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-06-10 18:41:58", datetime(2026, 6, 10, 18, 41, 58, tzinfo=UTC)),
        ("2026-06-10T20:41:58+02:00", datetime(2026, 6, 10, 18, 41, 58, tzinfo=UTC)),
        ("2026-06-10T18:41:58.000000Z", datetime(2026, 6, 10, 18, 41, 58, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc(value: str, expected: datetime) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("value", ["soon", 5, "0001-01-01T00:00:00+14:00"])
def test_a_strange_time_is_no_time(value: object) -> None:
    with pytest.raises(Unreadable):
        moment(value, default=datetime.now(UTC))


@pytest.mark.parametrize(
    ("type_", "description", "kind"),
    [
        ("tips", "", "tip"),
        ("chat_messages", "", "message"),
        ("subscribes", "Subscription from Ada", "subscription"),
        ("subscribes", "Recurring subscription from Ada", "recurring"),
        ("recurring_subscription", "", "recurring"),
        ("post", "", "post"),
        ("stream", "", "stream"),
        ("", "Payment for message from Ada", "message"),
        ("", "Post purchase by Ada", "post"),
        ("", "Tip from Ada", "tip"),
        ("referral", "Referral from Ada", "other"),
    ],
)
def test_kinds_of_money(type_: str, description: str, kind: str) -> None:
    assert kind_of(type_, description) == kind


def test_the_list_and_the_event_say_the_same_of_one_transaction() -> None:
    money = {"id": "a", "type": "tips", "amount": 8, "currency": "USD", "status": "done"}
    listed = {**money, "fee": 1.6, "net": 6.4, "vatAmount": 0, "createdAt": "2026-06-10T18:41:58+00:00"}
    told = {**money, "net_amount": 6.4, "created_at": "2026-06-10 18:41:58"}
    assert transaction_of(listed) == transaction_of(told)


def test_the_creators_own_id_is_never_taken_for_the_fans() -> None:
    tip = Envelope("tips.received", "acct_1", {"user_id": 514788334})
    assert line_of(tip) == ""
    with pytest.raises(Unreadable, match="fan"):
        fan_of(tip)
