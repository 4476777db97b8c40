"""Answers whether the pages of campaigns show what the API says, to those who may. Touches the test database."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from crm.models import Creator, Role
from crm.tests.clients import page_client
from crm.tests.factories import FanFactory, MembershipFactory
from messaging.campaigns import Audience
from messaging.failed_retry import campaign_retry
from messaging.models import Campaign
from messaging.tests.campaigns import failed, fans_make, launch, states
from messaging.tests.conftest import Faults, aws_error

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
HTML = {"Accept": "text/html"}
WISH: dict[str, Any] = {"name": "News", "content": "Hey {name}", "audience": {"everybody": True}}


@pytest.fixture
def creator() -> Creator:
    return MembershipFactory.create().creator


def page(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def preview(client: Client, **wish: Any) -> Any:
    address = "/api/messages/campaigns?preview=true"
    return client.post(address, WISH | wish, content_type="application/json", headers=HTML)


def test_no_campaign_yet_says_what_one_is_and_where_to_begin(creator: Creator) -> None:
    assert "No campaigns yet" in page(page_client(creator), "/messages/campaigns")
    assert 'href="/messages/bulk"' in page(page_client(creator, Role.MANAGER), "/messages/campaigns")


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_who_may_not_send_reads_and_finds_no_button(creator: Creator, role: Role) -> None:
    fans_make(creator, 2)
    campaign, client = launch(creator), page_client(creator, role)
    failed(campaign, 1)
    assert "/messages/bulk" not in page(client, "/messages/campaigns")
    one = page(client, f"/messages/campaigns/{campaign.pk}")
    assert "News" in one
    assert not any(word in one for word in ("campaign-pause", "campaign-cancel", "campaign-retry", "Retry"))
    assert ("recipients.csv" in one) == (role is Role.ANALYST)
    assert client.get("/messages/bulk").status_code == 403


def test_the_list_shows_how_each_is_getting_on(creator: Creator) -> None:
    fans_make(creator, 3)
    launch(creator, name="Weekend")
    rows = page(page_client(creator), "/messages/campaigns")
    assert "Weekend" in rows
    assert "badge--running" in rows


def test_a_campaigns_page_has_progress_steps_and_every_recipient(creator: Creator) -> None:
    fans_make(creator, 3)
    campaign = launch(creator)
    shown = page(page_client(creator), f"/messages/campaigns/{campaign.pk}")
    assert all(f"Name {n}" in shown for n in range(3))
    assert 'max="3" value="0"' in shown
    assert all(
        step in shown for step in ("campaign-pause", "campaign-cancel", "Export as CSV", "It will be done about")
    )
    assert "campaign-resume" not in shown


def test_a_step_answers_with_the_head_of_the_page(creator: Creator) -> None:
    fans_make(creator, 2)
    campaign, client = launch(creator), page_client(creator)
    answer = client.post(f"/api/messages/campaigns/{campaign.pk}/pause", headers=HTML)
    assert "campaign-resume" in answer.content.decode()
    assert "badge--paused" in answer.content.decode()


def test_the_ledger_can_be_cut_down_to_one_state(creator: Creator) -> None:
    fans_make(creator, 3)
    campaign = launch(creator)
    failed(campaign, 1)
    shown = page(page_client(creator), f"/messages/campaigns/{campaign.pk}?status=failed")
    assert shown.count("Not sent: =1+1") == 1
    assert sum(f"Name {n}</a>" in shown for n in range(3)) == 1


def test_a_stranger_finds_no_campaign(creator: Creator) -> None:
    fans_make(creator, 1)
    campaign = launch(creator)
    stranger = page_client(MembershipFactory.create().creator)
    assert stranger.get(f"/messages/campaigns/{campaign.pk}").status_code == 404
    assert stranger.get(f"/api/messages/campaigns/{campaign.pk}/recipients.csv").status_code == 404


def test_a_preview_names_count_and_time_and_three_texts(creator: Creator) -> None:
    fans_make(creator, 5)
    shown = preview(page_client(creator)).content.decode()
    assert "5 fans" in shown
    assert "Done about" in shown
    assert shown.count("Hey Name") == 3
    assert Campaign.objects.count() == 0


def test_whom_it_reaches_is_counted_before_it_is_written(creator: Creator) -> None:
    fans_make(creator, 2)
    shown = preview(page_client(creator), name="", content="").content.decode()
    assert "2 fans" in shown
    assert "As they read it" not in shown


def test_what_is_unwritten_is_no_campaign(creator: Creator) -> None:
    fans_make(creator, 2)
    wish = WISH | {"name": "", "content": ""}
    answer = page_client(creator).post("/api/messages/campaigns", wish, content_type="application/json")
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"name", "content"}


def test_a_preview_names_the_field_that_is_wrong(creator: Creator) -> None:
    fans_make(creator, 1)
    answer = preview(page_client(creator), priceCents=100)
    assert answer.status_code == 400
    assert 'data-field="priceCents"' in answer.content.decode()


def test_a_preview_counts_as_reading_not_as_sending(creator: Creator, settings: Any) -> None:
    settings.THROTTLE_PER_MINUTE = settings.THROTTLE_PER_MINUTE | {"sends": 1}
    fans_make(creator, 1)
    client = page_client(creator)
    assert [preview(client).status_code for _ in range(3)] == [200] * 3


def test_fans_chosen_by_hand_are_all_it_reaches(creator: Creator) -> None:
    fans = fans_make(creator, 4)
    chosen = [f"fan_{fan.pk}" for fan in fans[:2]]
    campaign = launch(creator, audience=Audience(recipient_ids=chosen))
    assert set(campaign.deliveries.values_list("fan_id", flat=True)) == {fan.pk for fan in fans[:2]}
    assert campaign.audience == {"recipientIds": chosen}


def test_no_fan_chosen_is_nobody_and_not_everybody(creator: Creator) -> None:
    fans_make(creator, 2)
    client, nobody = page_client(creator), {"recipientIds": []}
    assert "reaches nobody" in preview(client, audience=nobody).content.decode()
    answer = client.post("/api/messages/campaigns", WISH | {"audience": nobody}, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "audience.recipientIds")


def test_a_chosen_fan_of_somebody_else_is_named(creator: Creator) -> None:
    foreign = FanFactory.create()
    answer = preview(page_client(creator), audience={"recipientIds": [f"fan_{foreign.pk}"]})
    assert 'data-field="audience.recipientIds[0]"' in answer.content.decode()


def test_fans_are_shown_to_choose_from_where_the_page_asks_so(creator: Creator) -> None:
    fans_make(creator, 2)
    shown = page(page_client(creator), "/api/crm/fans", **HTML, **{"HX-Request": "true", "HX-Target": "fan-choices"})
    assert shown.count("data-choose=") == 2


def test_the_ledger_comes_as_a_file_that_no_spreadsheet_executes(creator: Creator) -> None:
    FanFactory.create(creator=creator, name="=HYPERLINK(1)", handle="ada", platform_id="7")
    campaign = launch(creator)
    failed(campaign, 1)
    answer = page_client(creator).get(f"/api/messages/campaigns/{campaign.pk}/recipients.csv")
    [row] = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["fan_id"], row["handle"], row["status"]) == ("7", "ada", "failed")
    assert (row["name"], row["reason"]) == ("'=HYPERLINK(1)", "'=1+1")
    assert "attachment" in answer["Content-Disposition"]


def test_what_failed_is_sent_again_and_nothing_else(creator: Creator) -> None:
    fans_make(creator, 3)
    campaign = launch(creator)
    failed(campaign, 2)
    answer = page_client(creator).post(f"/api/messages/campaigns/{campaign.pk}/retry")
    assert answer.status_code == 200
    assert states(campaign) == {"queued": 3}


def test_nothing_failed_is_a_conflict(creator: Creator) -> None:
    fans_make(creator, 1)
    answer = page_client(creator).post(f"/api/messages/campaigns/{launch(creator).pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_failed")


def test_what_failed_of_a_cancelled_campaign_stays(creator: Creator) -> None:
    fans_make(creator, 1)
    campaign = launch(creator)
    failed(campaign, 1)
    Campaign.objects.update(status="cancelled")
    answer = page_client(creator).post(f"/api/messages/campaigns/{campaign.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_cancelled")


def test_a_queue_that_takes_none_of_them_is_told(creator: Creator, sqs_faults: Faults) -> None:
    fans_make(creator, 2)
    campaign = launch(creator)
    failed(campaign, 2)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    answer = page_client(creator).post(f"/api/messages/campaigns/{campaign.pk}/retry")
    assert answer.status_code == 503
    assert states(campaign) == {"failed": 2}


def test_a_retry_takes_so_many_at_a_time(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    fans_make(creator, 3)
    campaign = launch(creator)
    failed(campaign, 3)
    monkeypatch.setattr("messaging.failed_retry.CAMPAIGN_MAX", 2)
    assert campaign_retry(creator=creator, campaign_id=campaign.pk).counts["failed"] == 1
