"""The nearest right name, and the sentence that refuses a wrong one."""

import pytest

from crm.known_names import nearest, unknown_name

AUDIENCE = ["everybody", "recipientIds", "tags", "minValueCents", "activeSince", "notMessagedSince", "exclude"]
SEND = ["recipientId", "content", "mediaUrls", "priceCents", "priority", "scheduledAt"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("tag", AUDIENCE, "tags"),
        ("minValue", AUDIENCE, "minValueCents"),
        ("min_value_cents", AUDIENCE, "minValueCents"),
        ("price", SEND, "priceCents"),
        ("media_urls", SEND, "mediaUrls"),
        ("mediaURLs", SEND, "mediaUrls"),
        ("media", SEND, "mediaUrls"),
        ("schedule_at", SEND, "scheduledAt"),
        ("recipientIds", SEND, "recipientId"),
        ("pice", SEND, "priceCents"),
        ("value_cents", ["name", "notes", "valueCents"], "valueCents"),
        ("colour", SEND, ""),
        ("id", SEND, ""),
        ("", SEND, ""),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(name: str, known: list[str], meant: str) -> None:
    assert nearest(name, known) == meant


def test_a_refusal_names_the_nearest_or_else_all() -> None:
    assert unknown_name("price", SEND) == "There is no “price” here. Did you mean “priceCents”?"
    assert unknown_name("colour", ["name", "tags"]) == "There is no “colour” here. There are: name, tags."
    assert "Nothing is expected" in unknown_name("colour", [])


def test_a_long_name_is_not_echoed_whole() -> None:
    assert len(unknown_name("x" * 10_000, SEND)) < 250
