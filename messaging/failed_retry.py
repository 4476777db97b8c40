"""Answers an operator who wants everything that failed sent once more. Writes through services alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from crm.errors import Conflict
from crm.models import Creator, MessageStatus
from messaging import publishing, services
from messaging.errors import QueueRefused
from messaging.models import Delivery

logger = structlog.get_logger(__name__)
# SQS refuses that many in a row: it is SQS, and every further message would wait for the same answer.
REFUSALS_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class RetryReport:
    """Message ids by what became of them. `meanwhile`: somebody else changed the row first; `refused`: id to reason."""

    found: tuple[UUID, ...]
    retried: tuple[UUID, ...] = ()
    meanwhile: tuple[UUID, ...] = ()
    refused: tuple[tuple[UUID, str], ...] = ()

    @property
    def untouched(self) -> int:
        """Messages that were left alone after SQS refused several in a row."""
        return len(self.found) - len(self.retried) - len(self.meanwhile) - len(self.refused)


def failed_retry(
    *,
    creator_id: int | None = None,
    since: datetime | None = None,
    reason_code: str = "",
    unknown: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> RetryReport:
    """Send failed messages again, oldest first per creator: the same idempotency key, a new dispatch, a new slot.

    since: those that failed at this time or later.
    unknown: also those of which nobody knows whether the fan has them.
    Raises SendingDisabled.
    """
    if not dry_run:
        publishing.limiter_check()
        publishing.sending_check()
    states = [MessageStatus.FAILED, MessageStatus.UNKNOWN] if unknown else [MessageStatus.FAILED]
    rows = Delivery.objects.filter(state__in=states)
    if creator_id is not None:
        rows = rows.filter(creator_id=creator_id)
    if since is not None:
        rows = rows.filter(finished_at__gte=since)
    if reason_code:
        rows = rows.filter(reason_code=reason_code)
    found = list(rows.order_by("creator_id", "pk").values_list("pk", "creator_id"))
    ids = tuple(message_id for message_id, _ in found)
    if dry_run:
        return RetryReport(found=ids)
    creators = Creator.objects.in_bulk({creator for _, creator in found})
    retried: list[UUID] = []
    meanwhile: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    in_a_row = 0
    for number, (message_id, creator) in enumerate(found, start=1):
        try:
            services.message_retry(creator=creators[creator], message_id=message_id)
        except Conflict:
            meanwhile.append(message_id)
        except QueueRefused as error:
            refused.append((message_id, error.detail))
            in_a_row += 1
            if in_a_row == REFUSALS_IN_A_ROW:
                break
        else:
            retried.append(message_id)
            in_a_row = 0
        if progress:
            progress(number)
    logger.info("failed messages retried", retried=len(retried), refused=len(refused), meanwhile=len(meanwhile))
    return RetryReport(found=ids, retried=tuple(retried), meanwhile=tuple(meanwhile), refused=tuple(refused))
