"""A person's wish about one stored message: cancel it, settle a doubt, dismiss a trouble. Touches decisions, selectors.

Sending it again is messaging/services.py:message_retry.
"""

from uuid import UUID

import structlog
from django.utils.translation import gettext

from crm.errors import Conflict
from crm.models import Creator, MessageStatus, User
from messaging import decisions, selectors
from messaging.models import Decision, Delivery

logger = structlog.get_logger(__name__)


def message_cancel(*, creator: Creator, user: User | None, message_id: UUID) -> None:
    """Let a message that has not begun never go out. One that was cancelled before stays as it is.

    Raises NotFound, and Conflict (`not_cancellable`, with `messageStatus`) once it has begun or ended.
    """
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    if not decisions.delivery_stopped(delivery, user=user):
        delivery.refresh_from_db(fields=["state", "decision"])
        # In doubt: it waited to be sent again, and was stopped.
        stopped = delivery.state == MessageStatus.UNKNOWN and delivery.decision == Decision.CANCELLED
        if delivery.state == MessageStatus.CANCELLED or stopped:
            return
        raise _conflict(
            delivery,
            gettext("Only a message that has not begun to go out can be cancelled; this one is %(status)s."),
            code="not_cancellable",
        )
    _noted(delivery, Decision.CANCELLED)


def message_settle(*, creator: Creator, user: User | None, message_id: UUID, decision: Decision) -> None:
    """Say what became of a message in trouble: it ARRIVED, or is DISMISSED. Said twice it stays as it is.

    Raises NotFound, and Conflict (`not_settleable`, with `messageStatus`) where its state allows no such word.
    """
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    arrived = decision is Decision.ARRIVED
    settle = decisions.delivery_arrived if arrived else decisions.delivery_dismissed
    if not settle(delivery, user=user):
        delivery.refresh_from_db(fields=["state", "decision"])
        settled = (MessageStatus.SENT, Decision.ARRIVED) if arrived else (MessageStatus.DISMISSED, Decision.DISMISSED)
        if (delivery.state, delivery.decision) == settled:
            return
        words = (
            gettext("Only of a message in doubt can you say that it arrived; this one is %(status)s.")
            if arrived
            else gettext("Only a failed or unknown message can be dismissed; this one is %(status)s.")
        )
        raise _conflict(delivery, words, code="not_settleable")
    _noted(delivery, decision)


def _conflict(delivery: Delivery, words: str, *, code: str) -> Conflict:
    return Conflict(
        words % {"status": delivery.get_state_display().lower()},
        code=code,
        extra={"messageId": str(delivery.pk), "messageStatus": delivery.state},
    )


def _noted(delivery: Delivery, decision: Decision) -> None:
    logger.info("message decided", message_id=str(delivery.pk), creator_id=delivery.creator_id, decision=decision)
