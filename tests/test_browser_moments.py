"""Moments: server and script write the same words for the same moment, in each language, variety and zone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from crm import moments
from crm.models import Role
from crm.tests.factories import ConversationFactory, FanFactory, MembershipFactory, MessageFactory
from tests.browser import EMAIL, PHONE, page_of, sign_in
from tests.words import ENGLISH, FRENCH, Words

pytestmark = pytest.mark.browser
NOW = datetime(2026, 11, 30, 22, 40, tzinfo=UTC)
# Of each month, each weekday, each distance that has words of its own, and both sides of a new year.
MOMENTS = sorted(
    {NOW - timedelta(days=days, hours=days % 24) for days in (*range(-3, 15), *range(15, 430, 13))}
    | {NOW + timedelta(minutes=minutes) for minutes in (-70, -5, 0, 30, 90, 900)}
)
SCRIPT = """async ([address, kinds, moments]) => {
  const { momentWords, dayWords } = await import(address);
  return moments.map((at) => [...kinds.map((kind) => momentWords(new Date(at), kind)), dayWords(new Date(at))]);
}"""


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Manila", "Pacific/Auckland"])
@pytest.mark.parametrize("locale", ["en-US", "en-GB", "en", "fr-FR", "fr-CA"])
def test_server_and_script_say_the_same(transactional_db: None, live_server: Any, locale: str, zone: str) -> None:
    language = locale.partition("-")[0]
    say = FRENCH if language == "fr" else ENGLISH
    options = {"locale": locale, "timezone_id": zone}
    with page_of(live_server.url, PHONE, "light", say, **options) as page:
        page.clock.install(time=NOW)
        page.goto("/sign-in")
        assert page.evaluate("document.documentElement.dataset.locale") == locale
        found = page.evaluate(
            SCRIPT, [f"{live_server.url}/static/moments.js", list(moments.KINDS), [at.isoformat() for at in MOMENTS]]
        )
        assert {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}["zone"] == zone
    with translation.override(language):
        wanted = [
            [
                *(
                    moments.moment_words(at, kind, locale=locale, zone=ZoneInfo(zone), now=NOW)
                    for kind in moments.KINDS
                ),
                moments.day_words(at.astimezone(ZoneInfo(zone)).date(), locale),
            ]
            for at in MOMENTS
        ]
    assert json.dumps(found, ensure_ascii=False, indent=0) == json.dumps(wanted, ensure_ascii=False, indent=0)


@pytest.mark.parametrize("say", [ENGLISH, FRENCH], ids=["en", "fr"])
def test_no_time_changes_its_words_once_the_zone_is_known(
    transactional_db: None, sqs_queues: Any, live_server: Any, say: Words
) -> None:
    creator = MembershipFactory.create(user__email=EMAIL, role=Role.OWNER).creator
    fan = FanFactory.create(creator=creator, name="Léa Martin", last_seen_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    conversation = ConversationFactory.create(fan=fan)
    MessageFactory.create(conversation=conversation, text="Good morning")
    paths = (f"/messages/onlyfans/{conversation.pk}", "/platforms/onlyfans/fans", "/sign-ins", "/settings/changes")
    with page_of(live_server.url, say=say, timezone_id="Asia/Manila") as page:
        page.goto("/sign-in")
        sign_in(page, say)
        page.locator("#conversations a.row").wait_for()
        for path in paths:
            served = page.request.get(path, headers={"Accept-Language": say.locale}).text()
            page.goto(path)
            times = page.evaluate("[...document.querySelectorAll('time')].map((time) => time.outerHTML)")
            assert times or path == "/settings/changes"
            for time in times:
                assert time in served, (path, time)
