"""Answers whether the analytics page tells numbers with their meaning. Touches the test database."""

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from analytics.models import RevenueDay
from analytics.page_urls import FILES
from analytics.pages import DEFINITIONS
from crm.models import Role, TransactionKind
from crm.tests.factories import (
    ConversationFactory,
    FanFactory,
    MembershipFactory,
    MessageFactory,
    TransactionFactory,
)
from messaging.models import Campaign

pytestmark = pytest.mark.django_db
PAGE = "/platforms/onlyfans/analytics"


@pytest.fixture
def membership():
    return MembershipFactory()


def page(membership, query: str = "") -> str:
    client = Client()
    client.force_login(membership.user)
    response = client.get(PAGE + query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_visitor_is_asked_to_sign_in():
    assert Client().get(PAGE).headers["Location"] == f"/sign-in?next={PAGE}"


def test_numbers_stand_with_their_definitions(membership):
    FanFactory(creator=membership.creator, value_cents=150_00, last_seen_at=timezone.now())
    FanFactory(creator=membership.creator, value_cents=50_00, last_seen_at=timezone.now() - timedelta(days=31))
    FanFactory(value_cents=999_00)
    html = page(membership)
    for words in ("$200.00", "Seen in the last 30 days, 50.0% of all", "What all fans together have spent, gross"):
        assert words in html
    assert "$999.00" not in html


def test_a_bar_is_as_long_as_the_value_beside_the_highest(membership):
    FanFactory(creator=membership.creator, value_cents=200)
    FanFactory(creator=membership.creator, value_cents=50)
    html = page(membership)
    assert 'aria-label="100.0% of the highest value"' in html
    assert '<rect width="25.0"' in html


def test_without_fans_it_leads_to_the_import(membership):
    html = page(membership)
    assert "Nothing to count yet" in html
    assert 'href="/platforms/onlyfans/import"' in html


def test_fans_who_spent_nothing_are_no_top_fans(membership):
    FanFactory(creator=membership.creator, value_cents=0)
    assert "Nobody has spent anything yet" in page(membership)


def test_an_analyst_reads_and_is_not_offered_to_write(membership):
    FanFactory(creator=membership.creator, value_cents=100)
    assert "/write" in page(membership)
    assert "/write" not in page(MembershipFactory(creator=membership.creator, role=Role.ANALYST))


def test_revenue_stands_as_bars_with_its_zone_and_definitions(membership):
    membership.creator.time_zone = "Asia/Tokyo"
    membership.creator.save()
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    TransactionFactory(occurred_at=timezone.now(), gross_cents=99_900)
    html = page(membership)
    for words in ("$8.00 net", "Days are those of Asia/Tokyo, amounts in USD", "Not synced with the platform yet"):
        assert words in html
    assert html.count('class="chart__hit"') == 30
    assert "$999.00" not in html


def test_another_time_zone_moves_money_to_its_days_at_once(membership):
    late = timezone.now().replace(hour=22, minute=0) - timedelta(days=3)
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=late)
    client = APIClient()
    client.force_authenticate(membership.user)
    days = [RevenueDay.objects.get().day]
    assert client.put("/api/crm/creator", {"timeZone": "Asia/Tokyo"}).status_code == 200
    days.append(RevenueDay.objects.get().day)
    assert days == [late.date(), late.date() + timedelta(days=1)]
    assert "Days are those of Asia/Tokyo" in page(membership)


def test_the_page_switches_to_gross_and_months(membership):
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    html = page(membership, "?interval=month&figure=gross")
    assert "$10.00 gross" in html
    assert html.count('class="chart__hit"') == 12


@pytest.mark.parametrize("query", ["?from=soon", "?interval=year", "?from=2026-02-01&to=2026-01-01", "?to=9999-12-31"])
def test_a_range_that_makes_no_sense_is_said_on_the_page(membership, query):
    FanFactory(creator=membership.creator)
    assert 'role="alert"' in page(membership, query)


def test_the_file_has_what_the_page_shows(membership):
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    client = Client()
    client.force_login(membership.user)
    answer = client.get(f"{PAGE}/revenue.csv?interval=month")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert (len(answer.content.splitlines()), b",10.00,2.00,8.00," in answer.content) == (13, True)
    assert client.get(f"{PAGE}/revenue.csv?from=soon").status_code == 400


def visit(membership, path: str) -> str:
    client = Client()
    client.force_login(membership.user)
    response = client.get(f"{PAGE}/{path}")
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_of_fans_has_tiers_churn_and_cohorts_with_zone_and_files(membership):
    fan = FanFactory(creator=membership.creator, value_cents=12_300)
    TransactionFactory(fan=fan, occurred_at=timezone.now(), kind=TransactionKind.RECURRING)
    html = visit(membership, "fans?months=6")
    for words in ("Top 20%", "$123.00", "Renewals and churn", "Times are those of UTC, amounts in USD", "$8.00"):
        assert words in html
    assert html.count('class="chart__hit"') == 6
    assert f"{PAGE}/cohorts.csv?months=6" in html


def test_the_page_of_sales_has_hours_campaigns_and_chatters(membership):
    fan = FanFactory(creator=membership.creator)
    TransactionFactory(fan=fan, occurred_at=timezone.now())
    Campaign.objects.create(creator=membership.creator, name="<b>Autumn</b>", content="hi")
    MessageFactory(
        conversation=ConversationFactory(fan=fan), outbound=True, sender=membership.user, created_at=timezone.now()
    )
    html = visit(membership, "sales?figure=gross&withinDays=3")
    for words in ("&lt;b&gt;Autumn&lt;/b&gt;", membership.user.name, "$10.00", f"{PAGE}/chatters.csv?figure=gross"):
        assert words in html
    assert html.count('class="chart__hit"') == 24 + 7


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("fans", ("Nobody has spent anything yet", "No subscription was paid", "No fan began to pay")),
        ("sales", ("Nothing was paid on these days", "No campaign was begun", "Nobody wrote on these days")),
    ],
)
def test_what_is_empty_says_so_and_what_to_do(membership, path, words):
    html = visit(membership, path)
    assert all(each in html for each in words)
    assert 'href="/platforms/connect/onlyfans"' in html


@pytest.mark.parametrize(
    "path", ["fans?months=7", "fans?figure=none", "sales?from=soon", "sales?withinDays=2", "sales?to=9999-12-31"]
)
def test_what_makes_no_sense_is_said_on_each_page(membership, path):
    assert 'role="alert"' in visit(membership, path)


def test_a_choice_that_is_none_names_the_choices(membership):
    assert "“none” is not one of the choices: net, gross." in visit(membership, "fans?figure=none")


def test_every_figure_has_its_definition(membership):
    html = visit(membership, "definitions")
    for name in ("Gross", "Active fans", "Spend tiers", "Cohorts", "Churn", "Best hours", "Campaign revenue", "Sales"):
        assert f"<strong>{name}</strong>" in html


def test_the_definitions_are_those_of_the_readers_language(membership):
    client = Client(headers={"Accept-Language": "fr"})
    client.force_login(membership.user)
    html = client.get(f"{PAGE}/definitions").content.decode()
    assert '<article class="prose" lang="fr">' in html
    assert "<strong>Meilleures heures</strong>" in html


def test_every_language_defines_as_much():
    texts = [(settings.BASE_DIR / "docs" / name).read_text().splitlines() for name in DEFINITIONS.values()]
    assert len({tuple(line[:2] for line in text if line[:1] in {"#", "-"}) for text in texts}) == 1


@pytest.mark.parametrize("file", FILES)
def test_every_table_is_a_file_that_the_team_gets(membership, file):
    client = Client()
    client.force_login(MembershipFactory(creator=membership.creator, role=Role.ANALYST).user)
    answer = client.get(f"{PAGE}/{file}.csv?from=&to=&months=12&figure=net")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "attachment" in answer["Content-Disposition"]


@pytest.mark.parametrize("path", ["", "/fans", "/sales"])
def test_a_chatter_finds_no_file_to_take_along(membership, path):
    """The figures are shown, and no door to a file."""
    FanFactory(creator=membership.creator, value_cents=10)
    chatter = Client()
    chatter.force_login(MembershipFactory(creator=membership.creator, role=Role.CHATTER).user)
    assert ".csv" not in chatter.get(PAGE + path).content.decode()
    assert ".csv" in page(membership, path)


@pytest.mark.parametrize("path", ["", "/fans", "/sales"])
def test_a_page_asks_as_often_however_many_rows_there_are(membership, path, django_assert_max_num_queries):
    client = Client()
    client.force_login(membership.user)
    for fan in FanFactory.create_batch(12, creator=membership.creator, value_cents=10):
        TransactionFactory(fan=fan, occurred_at=timezone.now())
        Campaign.objects.create(creator=membership.creator, name="Autumn", content="hi")
    # Session, user and memberships, then one for each table; the revenue takes four. The header's sign takes three.
    with django_assert_max_num_queries(13):
        client.get(PAGE + path)


@pytest.mark.parametrize(("address", "choice"), [("", "interval=week"), ("/sales", "withinDays=3")])
@time_machine.travel("2026-03-15T12:00:00Z", tick=False)
def test_a_usual_range_keeps_the_other_choices_and_is_marked_once_it_is_shown(membership, address, choice):
    FanFactory(creator=membership.creator, value_cents=200)
    last_month = "from=2026-02-01&amp;to=2026-02-28"
    html = page(membership, f"{address}?{choice}&figure=gross&from=2026-01-01")
    assert f'href="?{choice}&amp;figure=gross&amp;{last_month}">Last month<' in html
    html = page(membership, f"{address}?from=2026-02-01&to=2026-02-28")
    assert f'href="?{last_month}" aria-current="true">Last month<' in html
