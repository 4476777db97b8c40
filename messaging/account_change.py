"""Answers what becomes of a creator's messages when another platform account takes the place of theirs.
Writes deliveries and campaigns."""

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext, ngettext

from crm.errors import Conflict
from crm.models import Creator, MessageStatus
from messaging import selectors, set_transitions, slot_book
from messaging.models import OPEN_STATES, Delivery
from messaging.reasons import ACCOUNT_CHANGED

RETRY_SECONDS = 60


@transaction.atomic
def account_left(*, creator: Creator, account_id: str, cancel_waiting: bool) -> None:
    """Nothing that was written for this account goes out from the next one, which the caller's transaction stores.

    There these fans may be nobody's, and a key in doubt is not known, so that a message could arrive twice. What waits
    is cancelled with its campaigns, where `cancel_waiting` says so; what is in doubt stays so, for a person.
    Raises Conflict: `messages_waiting`, with how many in `extra`, or `messages_being_sent`; nothing is changed then.
    """
    waiting = selectors.delivery_waiting_list(creator=creator).count()
    if waiting and not cancel_waiting:
        raise Conflict(
            ngettext(
                "%(count)s message still waits to be sent from %(account)s. From another account it would come from"
                " somebody else. Let it go out first, or cancel it.",
                "%(count)s messages still wait to be sent from %(account)s. From another account they would come from"
                " somebody else. Let them go out first, or cancel them.",
                waiting,
            )
            % {"count": waiting, "account": account_id},
            code="messages_waiting",
            extra={"waiting": waiting},
        )
    set_transitions.waiting_cancelled(creator)
    # The rows before the profile, as delivery_rescheduled locks them. Who writes a message in this moment has ended
    # then, and who does so later waits until the other account is stored.
    slot_book.sending_profile_lock(creator_id=creator.pk)
    slot_book.campaign_lane_lock(creator_id=creator.pk)
    set_transitions.doubts_left(creator)
    # What was out of reach: being sent, or written or begun again meanwhile.
    missed = Q(state__in=OPEN_STATES) | Q(state=MessageStatus.UNKNOWN) & ~Q(reason_code=ACCOUNT_CHANGED)
    if Delivery.objects.filter(missed, creator=creator).exists():
        raise Conflict(
            gettext("A message is being sent in this moment. Nothing was changed; try again in a minute."),
            code="messages_being_sent",
            retry_after=RETRY_SECONDS,
        )
