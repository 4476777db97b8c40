"""Answers whether values look right on a page. Touches nothing."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import RequestFactory
from django.utils import translation

from crm import moments
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


MOMENT = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
PARIS = SimpleNamespace(creator=SimpleNamespace(time_zone="Europe/Paris"))


@pytest.fixture
def in_britain():
    moments.variety_activate("en", "en-GB,en;q=0.9")
    yield
    moments.variety_activate("en", "")


def context(zone="", membership=PARIS):
    headers = {"HTTP_COOKIE": f"zone={zone}"} if zone else {}
    return {"request": RequestFactory().get("/", **headers), "current_membership": membership}


@pytest.mark.usefixtures("in_britain")
@pytest.mark.parametrize("value", [MOMENT, "2026-11-01T23:30:00Z", "2026-11-02T00:30:00+01:00"])
def test_a_moment_is_on_the_reader_s_clock(value):
    found = crm_format.when(context("Asia/Manila"), value, "moment", **{"class": "muted"})
    assert 'class="muted"' in found
    assert 'data-time="moment"' in found
    assert 'title="2 Nov 2026, 07:30 · Asia/Manila">2 Nov 2026, 07:30</time>' in found


@pytest.mark.usefixtures("in_britain")
@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../../etc/passwd", "Europe", "x" * 5_000])
def test_before_the_browser_named_a_zone_the_creator_s_stands_in(zone):
    assert "2 Nov 2026, 00:30 · Europe/Paris" in crm_format.when(context(zone), MOMENT, "moment")
    assert "1 Nov 2026, 23:30 · UTC" in crm_format.when(context(zone, membership=None), MOMENT, "moment")


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [("en-GB,en;q=0.9", "en-GB"), ("fr;q=1,en-us;q=0.5", "en-US"), ("en", "en"), ("", "en"), ("fr", "en"), ("*", "en"),
     ("en-XX-nonsense;q=1", "en"), ("en;q=0.1,en-GB;q=0.2", "en-GB"), ("en-" + "a" * 900, "en")],
)  # fmt: skip
def test_the_variety_is_the_one_the_browser_asks_for(in_britain, accepted, locale):
    moments.variety_activate("en", accepted)
    assert crm_format.reader_locale() == locale
    with translation.override("fr"):
        assert crm_format.reader_locale() == "fr"


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


def test_templates_write_no_moment_in_another_way():
    """Dates in the values of a form are ISO 8601."""
    written = re.compile(r'<time\b|\|date:(?!"Y-m-d")|\|(?:time|naturaltime|timesince|timeuntil)\b|\{% now\b')
    root = Path(settings.BASE_DIR) / "templates"
    found = [
        (str(path.relative_to(root)), line)
        for path in root.rglob("*.html")
        for line in path.read_text().splitlines()
        if written.search(line)
    ]
    assert found == []
