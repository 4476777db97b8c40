"""A person's decision about one message: stop it, say that it arrived, dismiss it. Writes deliveries.

Each is a conditional UPDATE as in messaging/transitions.py, which keeps who decided and when.
"""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from crm.models import MessageStatus, User
from messaging import slot_book
from messaging.models import TROUBLE_STATES, UNSENT_STATES, Decision, Delivery, Kind
from messaging.transitions import Copy, cancel_set, change


def decided(decision: Decision, *, user: User | None) -> dict[str, Any]:
    """What a row keeps of it; without a user it was an operator's command."""
    return {"decision": decision, "decided_by": user, "decided_at": Now()}


@transaction.atomic
def delivery_stopped(delivery: Delivery, *, user: User | None) -> bool:
    """Whether it had not begun, so that it never goes out: `cancelled`, or in doubt still where an attempt was before.

    A worker that claims it in the same moment is waited for, and whichever was first decides. Copies on SQS are stale
    from then on, because the consumer finds no message that waits.
    """
    rows = Delivery.objects.filter(pk=delivery.pk, creator_id=delivery.creator_id, state__in=UNSENT_STATES)
    if not cancel_set(rows, also=decided(Decision.CANCELLED, user=user)):
        return False
    # A campaign's slot is its row's own, and free with it; the row before the profile, as everywhere.
    if delivery.kind == Kind.REPLY:
        slot_book.slot_give_back(creator_id=delivery.creator_id, due_at=delivery.due_at)
    return True


def delivery_arrived(delivery: Delivery, *, user: User | None) -> bool:
    """A person saw it at the fan. It was sent when the attempt ended of which nothing was known; that is kept."""
    return change(
        Copy.of(delivery),
        expected=[MessageStatus.UNKNOWN, MessageStatus.DISMISSED],
        # What surely failed did not arrive.
        only=Q(key_in_doubt=True) | Q(state=MessageStatus.UNKNOWN),
        to=MessageStatus.SENT,
        message={"sent_at": delivery.finished_at or delivery.first_attempt_at or delivery.created_at},
        repeatable=False,
        reason="",
        reason_code="",
        stage="",
        **decided(Decision.ARRIVED, user=user),
    )


def delivery_dismissed(delivery: Delivery, *, user: User | None) -> bool:
    """A person leaves it at that: it is no trouble any more, and its reason stays."""
    return change(
        Copy.of(delivery),
        expected=TROUBLE_STATES,
        to=MessageStatus.DISMISSED,
        repeatable=False,
        **decided(Decision.DISMISSED, user=user),
    )
