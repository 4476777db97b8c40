"""Answers who wants all that failed sent once more: of a creator, of a campaign. Writes through services alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.utils.translation import gettext

from crm.errors import Conflict, NotFound
from crm.models import Creator, MessageStatus
from crm.stored_words import in_words
from messaging import campaign_reports, publishing, queue, selectors, services
from messaging.campaign_reports import CampaignReport
from messaging.errors import QueueRefused
from messaging.models import CampaignStatus, Delivery

logger = structlog.get_logger(__name__)
# Of one campaign at a time: somebody waits for the answer, and can ask again for the rest.
CAMPAIGN_MAX = 500


@dataclass(frozen=True, slots=True)
class RetryReport:
    """Message ids by what became of them. `meanwhile`: somebody else changed the row first; `refused`: id to reason."""

    found: tuple[UUID, ...]
    retried: tuple[UUID, ...] = ()
    meanwhile: tuple[UUID, ...] = ()
    refused: tuple[tuple[UUID, str], ...] = ()

    @property
    def untouched(self) -> int:
        """Messages that were left alone after SQS refused a whole batch."""
        return len(self.found) - len(self.retried) - len(self.meanwhile) - len(self.refused)


def failed_retry(
    *,
    creator_id: int | None = None,
    campaign_id: int | None = None,
    since: datetime | None = None,
    reason_code: str = "",
    stage: str = "",
    unknown: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    trace_id: str = "",
    on_begun: Callable[[UUID], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> RetryReport:
    """Send failed messages again, oldest first per creator: a new dispatch, a new slot, ten with each request.

    since: those that failed at this time or later.
    stage: those that had come so far, for instance to the queue and not into it.
    unknown: also those of which nobody knows whether the fan has them.
    limit: the first so many.
    trace_id: of the request that asks for it.
    on_begun: called with the first one's id in the transaction that opens it again.
    Raises SendingDisabled.
    """
    if not dry_run:
        publishing.limiter_check()
        publishing.sending_check()
    states = [MessageStatus.FAILED, MessageStatus.UNKNOWN] if unknown else [MessageStatus.FAILED]
    rows = Delivery.objects.filter(state__in=states, fan__deleted_at=None)
    if creator_id is not None:
        rows = rows.filter(creator_id=creator_id)
    if campaign_id is not None:
        rows = rows.filter(campaign_id=campaign_id)
    if since is not None:
        rows = rows.filter(finished_at__gte=since)
    if reason_code:
        rows = rows.filter(reason_code=reason_code)
    if stage:
        rows = rows.filter(stage=stage)
    found = list(rows.order_by("creator_id", "pk").values_list("pk", "creator_id")[:limit])
    ids = tuple(message_id for message_id, _ in found)
    if dry_run:
        return RetryReport(found=ids)
    creators = Creator.objects.in_bulk({creator for _, creator in found})
    retried: list[UUID] = []
    meanwhile: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    tell = on_begun
    for start in range(0, len(found), queue.BATCH_MAX_ENTRIES):
        reopened: list[UUID] = []
        for message_id, creator in found[start : start + queue.BATCH_MAX_ENTRIES]:
            try:
                services.message_reopen(
                    creator=creators[creator], message_id=message_id, trace_id=trace_id, on_stored=tell
                )
            except (Conflict, NotFound):
                meanwhile.append(message_id)
            else:
                tell = None
                reopened.append(message_id)
        refusals = publishing.publish(reopened, fail=True)
        retried += [message_id for message_id in reopened if message_id not in refusals]
        refused += [(message_id, refusal.reason) for message_id, refusal in refusals.items()]
        if progress:
            progress(min(start + queue.BATCH_MAX_ENTRIES, len(found)))
        if reopened and len(refusals) == len(reopened):
            # It is SQS, and every further batch would wait for the same answer.
            break
    logger.info("failed messages retried", retried=len(retried), refused=len(refused), meanwhile=len(meanwhile))
    return RetryReport(found=ids, retried=tuple(retried), meanwhile=tuple(meanwhile), refused=tuple(refused))


def campaign_retry(
    *, creator: Creator, campaign_id: int, trace_id: str = "", on_stored: Callable[[int], None] | None = None
) -> CampaignReport:
    """Send what failed of a campaign again, at most CAMPAIGN_MAX at a time; those in doubt stay with a person.

    trace_id: of the request that asks for it.
    on_stored: called with the campaign's id in the transaction that opens the first message again.
    Raises Conflict where nothing failed or the campaign was cancelled, QueueRefused where SQS took none of them.
    """
    campaign = selectors.campaign_get(creator=creator, campaign_id=campaign_id)
    if campaign.status == CampaignStatus.CANCELLED:
        raise Conflict(
            gettext("This campaign was cancelled, so nothing of it is sent again."), code="campaign_cancelled"
        )
    report = failed_retry(
        creator_id=creator.pk,
        campaign_id=campaign.pk,
        limit=CAMPAIGN_MAX,
        trace_id=trace_id,
        on_begun=(lambda _: on_stored(campaign.pk)) if on_stored else None,
    )
    if not report.found:
        raise Conflict(gettext("No message of this campaign has failed."), code="nothing_failed")
    if report.refused and not report.retried:
        raise QueueRefused(
            gettext("None of them could be queued: %(reason)s You can send them again.")
            % {"reason": in_words(report.refused[0][1])},
            extra={"campaignId": campaign.pk},
            retry_after=30,
        )
    return campaign_reports.campaign_report(campaign)
