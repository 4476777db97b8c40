"""Answers what a test's campaigns are made of. Touches tables as a test asks."""

from collections.abc import Iterable
from typing import Any

from crm.models import Creator, Fan, Message, MessageStatus
from messaging import campaign_reports, campaigns
from messaging.campaigns import Audience, BulkRequest, CampaignReceipt, CampaignRequest
from messaging.models import Campaign

EVERYBODY = Audience(everybody=True)


def bulk(creator: Creator, fans: Iterable[Fan], **fields: Any) -> CampaignReceipt:
    wish: dict[str, Any] = {"recipient_ids": [fan.platform_id for fan in fans], "content": "Hello"} | fields
    return campaigns.bulk_send(creator=creator, user=None, request=BulkRequest(**wish))


def launch(creator: Creator, **fields: Any) -> Campaign:
    wish: dict[str, Any] = {"name": "News", "content": "Hey {name}", "audience": EVERYBODY} | fields
    return campaigns.campaign_create(creator=creator, user=None, request=CampaignRequest(**wish)).report.campaign


def fans_make(creator: Creator, count: int) -> list[Fan]:
    return Fan.objects.bulk_create(
        Fan(creator=creator, platform_id=f"c{n}", handle=f"handle{n}", name=f"Name {n}") for n in range(count)
    )


def failed(campaign: Campaign, count: int) -> None:
    """As many of its messages failed."""
    ids = list(campaign.deliveries.order_by("pk").values_list("pk", flat=True)[:count])
    campaign.deliveries.filter(pk__in=ids).update(state=MessageStatus.FAILED, reason="=1+1")
    Message.objects.filter(pk__in=ids).update(status=MessageStatus.FAILED)


def states(campaign: Campaign) -> dict[str, int]:
    """How many deliveries are in each state; each message says the same."""
    for delivery in campaign.deliveries.select_related("message"):
        assert delivery.state == delivery.message.status
    return {state: count for state, count in campaign_reports.campaign_report(campaign).counts.items() if count}
