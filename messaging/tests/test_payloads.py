"""Answers whether what goes on the queue is the contract, and what becomes of bodies that are not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.errors import MalformedBody
from messaging.payloads import Dispatch, QueueBody, connectivity_test_body, dispatch_parse

MESSAGE = UUID("0192a1b2-0000-7000-8000-000000000001")
DISPATCH = UUID("0192a1b2-0000-7000-8000-000000000002")


def body(**fields) -> QueueBody:
    values = {
        "message_id": MESSAGE,
        "user_id": "7",
        "recipient_id": "9000001",
        "content": "Hé",
        "media_urls": ("https://example.com/a.jpg",),
        "conversation_id": 3,
        "campaign_id": None,
        "priority": 5,
        "timestamp": datetime(2026, 11, 1, 12, tzinfo=UTC),
        "creator_id": 1,
        "dispatch_id": DISPATCH,
        "kind": "reply",
        "due_at": datetime(2026, 11, 1, 12, 0, 3, 500_000, tzinfo=UTC),
        "hops": 2,
        "trace_id": "trace",
    }
    return QueueBody(**(values | fields))


def with_members(**members) -> str:
    return json.dumps({"v": 1, "messageId": str(MESSAGE), "dispatchId": str(DISPATCH)} | members)


def test_the_first_seven_members_are_the_contract():
    members = json.loads(body().to_json())
    assert list(members.items())[:7] == [
        ("messageId", str(MESSAGE)),
        ("userId", "7"),
        ("recipientId", "9000001"),
        ("content", "Hé"),
        ("mediaUrls", ["https://example.com/a.jpg"]),
        ("metadata", {"conversationId": 3, "campaignId": None, "priority": 5}),
        ("timestamp", "2026-11-01T12:00:00.000Z"),
    ]


def test_the_rest_is_version_one():
    members = json.loads(body().to_json())
    assert dict(list(members.items())[7:]) == {
        "v": 1,
        "creatorId": 1,
        "dispatchId": str(DISPATCH),
        "kind": "reply",
        "dueAt": "2026-11-01T12:00:03.500Z",
        "hops": 2,
        "traceId": "trace",
    }


def test_times_are_written_in_utc():
    paris = datetime(2026, 11, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert json.loads(body(timestamp=paris).to_json())["timestamp"] == "2026-11-01T12:00:00.000Z"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(content):
    raw = body(content=content).to_json()
    assert json.loads(raw)["content"] == content
    found = dispatch_parse(raw)
    assert found is not None
    assert (found.message_id, found.dispatch_id) == (MESSAGE, DISPATCH)


@pytest.mark.parametrize(("kind", "campaign"), [("reply", False), ("campaign", True)])
def test_a_body_says_in_whose_lane_it_waits(kind, campaign):
    assert dispatch_parse(body(kind=kind, creator_id=12).to_json()) == Dispatch(
        MESSAGE, DISPATCH, 12, campaign, "trace"
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_body_holds_no_character_that_sqs_refuses(content):
    assert all(" " <= character <= "~" for character in body(content=content).to_json())


def test_a_connectivity_test_names_no_message():
    assert dispatch_parse(connectivity_test_body(sent_at=datetime(2026, 11, 1, tzinfo=UTC))) is None


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "hello",
        "[]",
        '"text"',
        "null",
        "{}",
        "[" * 100_000,
        with_members(v=2),
        with_members(v=None),
        with_members(messageId=None),
        with_members(messageId=5),
        with_members(messageId="x"),
        with_members(messageId=[]),
        with_members(dispatchId="not a uuid"),
        json.dumps({"v": 1, "messageId": str(MESSAGE)}),
        json.dumps({"v": 1, "dispatchId": str(DISPATCH)}),
        with_members(creatorId=float("inf")),
        with_members(creatorId=float("nan")),
    ],
    ids=range(18),
)
def test_anything_else_is_malformed(raw):
    with pytest.raises(MalformedBody):
        dispatch_parse(raw)
