"""How campaigns are getting on: recipients by state, the time of the last one, what holds them back. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min
from django.utils import timezone

from crm.models import MessageStatus
from messaging import readiness, selectors
from messaging.models import OPEN_STATES, Campaign, CampaignStatus, Delivery
from messaging.readiness import Outlook
from messaging.reasons import Blocked


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """How a campaign is getting on: its recipients by state, and when the last of them has its turn.

    `estimated_completion_at` is the last reserved slot while it runs, the time it ended once it has finished, and
    None after it was cancelled and while nothing of it can go out: `blocked` says why.
    """

    campaign: Campaign
    status: CampaignStatus
    counts: dict[str, int] = field(default_factory=dict)
    estimated_completion_at: datetime | None = None
    blocked: Blocked | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def campaign_report_list(campaigns: Sequence[Campaign], *, outlooks: bool = True) -> list[CampaignReport]:
    """Of campaigns of one creator: one query for all of them, and a look at what holds its messages back.

    outlooks: False for campaigns of several creators, whose status and counts alone are asked for.
    """
    rows: dict[int, list[Mapping[str, Any]]] = {}
    ids = [campaign.pk for campaign in campaigns]
    by_state = Delivery.objects.filter(campaign__in=ids).values("campaign_id", "state").order_by()
    told = {"first_due_at": Min("due_at"), "last_due_at": Max("due_at"), "ended_at": Max("finished_at")}
    for row in by_state.annotate(count=Count("pk"), **told):
        rows.setdefault(row["campaign_id"], []).append(row)
    unsettled = any(row["state"] in OPEN_STATES for found in rows.values() for row in found)
    blocked = readiness.sending_blocked(creator=campaigns[0].creator) if unsettled and outlooks else None
    return [_campaign_report(campaign, rows.get(campaign.pk, []), blocked) for campaign in campaigns]


def campaign_report(campaign: Campaign) -> CampaignReport:
    [report] = campaign_report_list([campaign])
    return report


def _campaign_report(campaign: Campaign, rows: Sequence[Mapping[str, Any]], blocked: Blocked | None) -> CampaignReport:
    counts = {state.value: 0 for state in MessageStatus if state is not MessageStatus.RECEIVED}
    counts.update({row["state"]: row["count"] for row in rows})
    still_open = [row for row in rows if row["state"] in OPEN_STATES]
    now = timezone.now()
    found = Outlook(None, None)
    if campaign.status == CampaignStatus.CANCELLED:
        status = CampaignStatus.CANCELLED
    elif not still_open:
        status = CampaignStatus.FINISHED
        found = Outlook(max((row["ended_at"] for row in rows if row["ended_at"]), default=None), None)
    else:
        paused = campaign.status == CampaignStatus.PAUSED
        later = campaign.scheduled_at is not None and campaign.scheduled_at > now
        status = CampaignStatus.SCHEDULED if later else CampaignStatus.RUNNING
        status = CampaignStatus.PAUSED if paused else status
        first, last = min(row["first_due_at"] for row in still_open), max(row["last_due_at"] for row in still_open)
        # What is due now and then goes out a little later is no sign; what is due for minutes is.
        late = first if first < now - selectors.LATE_AFTER else max(last, now)
        found = readiness.outlook(late, blocked=blocked, campaign_paused=paused)
    return CampaignReport(
        campaign=campaign,
        status=status,
        counts=counts,
        estimated_completion_at=found.expected_at,
        blocked=found.blocked,
    )
