"""Answers a wish to pause, resume or cancel a campaign that is on its way.

Touches services, and the queue after the commit. What is being sent in the moment is sent.
"""

from collections.abc import Collection
from datetime import timedelta

import structlog
from django.db import transaction
from django.utils.translation import gettext, gettext_noop

from crm.errors import Conflict
from crm.models import Creator
from messaging import campaign_reports, publishing, queue, selectors, set_transitions
from messaging.campaign_reports import CampaignReport
from messaging.models import Campaign, CampaignStatus

logger = structlog.get_logger(__name__)


def campaign_pause(*, creator: Creator, campaign_id: int) -> CampaignReport:
    """Let nothing more of it go out until it is resumed. Raises Conflict where it is not on its way."""
    with transaction.atomic():
        campaign = _changed(
            creator,
            campaign_id,
            expected=[CampaignStatus.RUNNING],
            to=CampaignStatus.PAUSED,
            verb=gettext_noop("paused"),
        )
        set_transitions.campaign_parked(campaign)
    return campaign_reports.campaign_report(campaign)


def campaign_resume(*, creator: Creator, campaign_id: int) -> CampaignReport:
    """Let the rest of it go out, spaced anew from now on. Raises Conflict where it is not paused."""
    publishing.queueing_check()
    with transaction.atomic():
        campaign = _changed(
            creator,
            campaign_id,
            expected=[CampaignStatus.PAUSED],
            to=CampaignStatus.RUNNING,
            verb=gettext_noop("resumed"),
        )
        set_transitions.campaign_respaced(campaign)
        pending = set_transitions.campaign_released(campaign, publish_before=timedelta(seconds=queue.DELAY_MAX_SECONDS))
        transaction.on_commit(lambda: publishing.publish(pending, fail=False), robust=True)
    return campaign_reports.campaign_report(campaign)


def campaign_cancel(*, creator: Creator, campaign_id: int) -> CampaignReport:
    """Let nothing more of it go out, for good. Raises Conflict where there is nothing left to stop."""
    with transaction.atomic():
        campaign = _changed(
            creator,
            campaign_id,
            expected=[CampaignStatus.RUNNING, CampaignStatus.PAUSED],
            to=CampaignStatus.CANCELLED,
            verb=gettext_noop("cancelled"),
        )
        set_transitions.campaign_cancelled(campaign)
    return campaign_reports.campaign_report(campaign)


def _changed(
    creator: Creator, campaign_id: int, *, expected: Collection[CampaignStatus], to: CampaignStatus, verb: str
) -> Campaign:
    """The campaign in its new state, its row locked. Raises Conflict, saying how it stands, where that cannot be."""
    campaign = selectors.campaign_get(creator=creator, campaign_id=campaign_id)
    report = campaign_reports.campaign_report(campaign)
    finished = report.status is CampaignStatus.FINISHED
    if finished or not set_transitions.campaign_changed(campaign, expected=expected, to=to):
        status = report.status.label.lower()
        raise Conflict(
            gettext("This campaign is %(status)s, so it cannot be %(verb)s.")
            % {"status": status, "verb": gettext(verb)},
            code=f"campaign_{report.status}",
        )
    campaign.refresh_from_db()
    logger.info("campaign changed", campaign_id=campaign.pk, status=to)
    return campaign
