"""Answers how many deliveries change their state at once: all of a campaign, or all to a fan. Writes deliveries and
campaigns, as messaging/transitions.py does one by one."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_noop

from crm.models import Creator, Fan, MessageStatus, uuid7
from messaging import selectors, slot_book
from messaging.models import UNSENT_STATES, Campaign, CampaignStatus, Delivery
from messaging.reasons import ACCOUNT_CHANGED
from messaging.transitions import SET_MAX, WAITING, cancel_set, change_set


def campaign_changed(campaign: Campaign, *, expected: Collection[CampaignStatus], to: CampaignStatus) -> bool:
    return bool(Campaign.objects.filter(pk=campaign.pk, status__in=expected).update(status=to))


def campaign_parked(campaign: Campaign) -> int:
    """What has not gone out waits in PostgreSQL; its copies on the queue are stale, because they find it parked."""
    return len(change_set(campaign.deliveries.filter(state__in=WAITING), to=MessageStatus.PARKED))


def campaign_cancelled(campaign: Campaign) -> int:
    """What has not gone out never will; what is being sent in this moment is sent."""
    return cancel_set(campaign.deliveries.filter(state__in=UNSENT_STATES))


def campaign_respaced(campaign: Campaign, *, replanned: Collection[int] = ()) -> None:
    """New slots and new dispatches for all that is parked, in the old order; the caller's transaction goes on.

    replanned: campaigns to which the caller does the same next, so that their old slots are free for this one.
    """
    # The rows before the profile, as delivery_rescheduled locks them.
    rows = list(
        campaign.deliveries.filter(state=MessageStatus.PARKED)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("due_at", "pk")
    )
    slots = slot_book.slot_block_reserve(campaign=campaign, count=len(rows), replanned=replanned)
    due = dict(zip((pk for _, pk in sorted(rows)), slots, strict=True))
    for start in range(0, len(rows), SET_MAX):
        some = [pk for _, pk in rows[start : start + SET_MAX]]
        with connection.cursor() as cursor:
            # A value of its own for each row, which the ORM writes as one CASE per row.
            cursor.execute(
                "UPDATE messaging_delivery SET due_at = fresh.due_at, dispatch_id = fresh.dispatch_id"
                " FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS fresh (message_id, dispatch_id, due_at)"
                " WHERE messaging_delivery.message_id = fresh.message_id",
                [some, [uuid7() for _ in some], [due[pk] for pk in some]],
            )


def campaign_released(campaign: Campaign, *, publish_before: timedelta) -> list[UUID]:
    """What is parked and due within `publish_before` is `pending`; the caller publishes it after the commit."""
    near = timezone.now() + publish_before
    return change_set(
        campaign.deliveries.filter(state=MessageStatus.PARKED, due_at__lte=near), to=MessageStatus.PENDING
    )


def waiting_cancelled(creator: Creator) -> int:
    """Nothing of this creator that waits goes out any more; campaigns that it belongs to end with it."""
    rows = selectors.delivery_waiting_list(creator=creator)
    Campaign.objects.filter(
        Exists(rows.filter(campaign=OuterRef("pk"))), status__in=[CampaignStatus.RUNNING, CampaignStatus.PAUSED]
    ).update(status=CampaignStatus.CANCELLED)
    return cancel_set(
        rows,
        reason_code=ACCOUNT_CHANGED,
        reason=gettext_noop("The OnlyFans account was changed before this went out."),
    )


def doubts_left(creator: Creator) -> None:
    """Nothing in doubt is repeated or looked for by itself: the next account knows neither its key nor its chat."""
    Delivery.objects.filter(creator=creator, state=MessageStatus.UNKNOWN).update(
        repeatable=False,
        reason_code=ACCOUNT_CHANGED,
        reason=gettext_noop(
            "The OnlyFans account was changed before anybody knew whether this went out."
            " Look in the chat of the account before."
        ),
    )


def fan_withdrawn(fan: Fan) -> int:
    """What has not gone out to a deleted fan never will; Delivery.held stops what is out of reach in this moment."""
    rows = Delivery.objects.filter(fan=fan, state__in=UNSENT_STATES)
    return cancel_set(rows, reason_code="fan_deleted", reason=gettext_noop("The fan was deleted before this went out."))


def fan_erased(fan: Fan) -> None:
    """Nothing here says any more who the fan was: what a platform said of them, and the campaigns that name them."""
    Delivery.objects.filter(fan=fan).update(reason="")
    others = Delivery.objects.filter(campaign=OuterRef("pk")).exclude(fan=fan).exclude(fan__erased_at__isnull=False)
    # A text that went to erased fans alone was written to them.
    Campaign.objects.filter(~Exists(others), deliveries__fan=fan).update(content="", attachments=[])
    for campaign in selectors.campaign_list_naming(fan=fan).select_for_update(no_key=True):
        Campaign.objects.filter(pk=campaign.pk).update(audience=audience_without(fan, campaign.audience))


def audience_without(fan: Fan, audience: dict[str, Any]) -> dict[str, Any]:
    """The stored audience less the fan, by whichever of their names somebody named them."""
    names = {name.lower() for name in selectors.recipient_names(fan)}
    return {
        key: [each for each in value if each.lower() not in names] if key in ("recipientIds", "exclude") else value
        for key, value in audience.items()
    }
