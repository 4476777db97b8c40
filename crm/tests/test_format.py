"""Answers whether values look right on a page. Touches nothing."""

from datetime import UTC, datetime

import pytest
from django.http import QueryDict

from crm.templatetags import crm_format


@pytest.mark.parametrize(
    ("cents", "words"),
    [
        (0, "$0.00"),
        (None, "$0.00"),
        (5, "$0.05"),
        (123_456, "$1,234.56"),
        (-250, "-$2.50"),
        (10**11, "$1,000,000,000.00"),
    ],
)
def test_money_stands_in_dollars_and_cents(cents, words):
    assert crm_format.money(cents) == words


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada Lovelace", "AL"),
        ("ada", "A"),
        ("@ada_l", "A"),
        ("Ana de la Cruz", "AC"),
        ("💥", "?"),
        ("", "?"),
        ("Éva Ó", "ÉÓ"),
    ],
)
def test_initials_are_at_most_two_letters(name, letters):
    assert crm_format.initials(name) == letters


def test_a_moment_is_read_from_what_the_api_wrote():
    assert crm_format.moment("2026-11-01T12:00:00Z") == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert crm_format.moment(None) is None


def test_links_to_the_next_page_are_taken_apart():
    link = "https://example.com/api/crm/fans?cursor=cD0x%3D&search=a+b"
    assert crm_format.local(link) == "/api/crm/fans?cursor=cD0x%3D&search=a+b"
    assert crm_format.query_of(link) == "?cursor=cD0x%3D&search=a+b"
    assert crm_format.cursor_of(link) == "cD0x="
    assert crm_format.local(None) == crm_format.query_of(None) == crm_format.cursor_of(None) == ""


def test_a_query_goes_on_without_one_name_and_without_what_is_empty():
    assert crm_format.without(QueryDict("cursor=x&search=a+b&unread="), "cursor") == "?search=a+b"
    assert crm_format.without(QueryDict("cursor=x"), "cursor") == ""


@pytest.mark.parametrize(("part", "whole", "percent"), [(1, 3, "33.3"), (0, 5, "0.0"), (5, 0, "0"), (9, 3, "100.0")])
def test_a_share_is_a_percentage_of_at_most_100(part, whole, percent):
    assert crm_format.share_of(part, whole) == percent


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (8_040, "2 h 14 min"), (200_000, "2 d 7 h")],
)
def test_a_duration_stands_in_its_two_largest_units(seconds, words):
    assert crm_format.duration(seconds) == words
