"""Answers whether a fan's page shows what is held and lets those change it who may. Touches the test database."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from crm.models import Fan, Role
from crm.tests.clients import page_client
from crm.tests.factories import CreatorFactory, FanFactory, TransactionFactory

pytestmark = pytest.mark.django_db
ON_PAGE = {"Accept": "text/html", "HX-Request": "true", "HX-Target": "fan"}


@pytest.fixture
def fan() -> Fan:
    return FanFactory.create(name="Ada Lovelace", notes="Likes engines", tags=["vip"], value_cents=123_456)


def page(client: Client, fan: Fan) -> str:
    answer = client.get(f"/platforms/onlyfans/fans/{fan.pk}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_shows_all_that_is_held_with_the_state_that_a_change_names(fan: Fan) -> None:
    TransactionFactory.create(fan=fan, gross_cents=4_200)
    shown = page(page_client(fan.creator), fan)
    assert all(words in shown for words in ("Ada Lovelace", "Likes engines", "1234.56", "$42.00", "Tip"))
    assert f'data-etag="&quot;{fan.version}&quot;"' in shown


def test_an_analyst_reads_it_and_changes_nothing(fan: Fan) -> None:
    shown = page(page_client(fan.creator, Role.ANALYST), fan)
    assert "Likes engines" in shown
    assert not any(words in shown for words in ("data-fan", "hx-delete", "Export everything"))


def test_a_chatter_edits_and_neither_deletes_nor_exports(fan: Fan) -> None:
    shown = page(page_client(fan.creator, Role.CHATTER), fan)
    assert "data-fan " in shown
    assert not any(words in shown for words in ("hx-delete", "Export everything"))


def test_a_stranger_and_a_deleted_fan_have_no_page(fan: Fan) -> None:
    assert page_client(CreatorFactory.create()).get(f"/platforms/onlyfans/fans/{fan.pk}").status_code == 404
    gone = FanFactory.create(creator=fan.creator, deleted_at=datetime(2026, 11, 1, tzinfo=UTC))
    assert page_client(fan.creator).get(f"/platforms/onlyfans/fans/{gone.pk}").status_code == 404


def test_a_deletion_on_the_page_is_undone_there(fan: Fan) -> None:
    client = page_client(fan.creator)
    gone = client.delete(f"/api/crm/fans/{fan.pk}", headers=ON_PAGE).content.decode()
    assert "They can be restored until" in gone
    back = client.post(f"/api/crm/fans/{fan.pk}/restore", headers=ON_PAGE).content.decode()
    assert "Likes engines" in back
    assert 'data-etag="&quot;' in back


def test_purchases_come_newest_first_and_page_by_page(fan: Fan) -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for n in range(12):
        TransactionFactory.create(fan=fan, gross_cents=1_000 + n, net_cents=800, occurred_at=begin + timedelta(days=n))
    TransactionFactory.create(fan=FanFactory.create(creator=fan.creator))
    client = page_client(fan.creator)
    first = client.get(f"/api/crm/fans/{fan.pk}/purchases?pageSize=10").json()
    assert [each["grossCents"] for each in first["results"]] == list(range(1_011, 1_001, -1))
    assert len(client.get(first["next"]).json()["results"]) == 2


def test_no_purchase_is_said_as_far_as_it_is_known(fan: Fan) -> None:
    assert "Nothing bought yet" in page(page_client(fan.creator), fan)
