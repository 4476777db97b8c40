"""Answers who the users of `bench.traffic` are, and what became of their messages. Touches the tables of a stand."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import connection
from django.utils import timezone

from bench import api_data
from crm.models import Conversation, Fan, Membership, MessageStatus, User
from messaging.models import OPEN_STATES, TROUBLE_STATES, Delivery, Kind
from onlyfans.services import account_connect
from onlyfans.simulator.store import Account

# The fans of each creator are those that the simulator knows, told apart by their creator.
KNOWN = """
UPDATE crm_fan SET platform_id = (%(ids)s::text[])[substr(handle, 4)::int]
WHERE handle ~ '^fan[0-9]+$' AND substr(handle, 4)::int <= %(count)s
"""


def users_make(
    *, accounts: Sequence[Account], fan_ids: list[str], fans: int, thread: int, password: str
) -> list[dict[str, Any]]:
    """A user for each account, with a creator, so many fans and as many conversations, one of them long."""
    fans = min(fans, len(fan_ids))
    tenants = api_data.tenants_make(creators=len(accounts), conversations=fans, thread=thread, threads=len(accounts))
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, {"ids": fan_ids[:fans], "count": fans})
    # One hash for all, because making one takes as long as a sign-in.
    User.objects.update(password=make_password(password))
    found = []
    memberships = {each.creator_id: each for each in Membership.objects.select_related("user", "creator")}
    for tenant, account in zip(tenants, accounts, strict=True):
        membership = memberships[tenant.creator_id]
        account_connect(creator=membership.creator, account_id=account.id, api_key=account.api_key)
        conversations = Conversation.objects.filter(creator_id=tenant.creator_id).order_by("-last_message_at")
        found.append(
            {
                "email": membership.user.email,
                "creator": tenant.creator_id,
                "conversations": list(conversations.values_list("pk", flat=True)),
                "fans": list(Fan.objects.filter(creator_id=tenant.creator_id).values_list("pk", flat=True)),
            }
        )
    return found


def now() -> datetime:
    return timezone.now()


@dataclass(frozen=True, slots=True)
class Sent:
    """`lag_seconds`: from each reply's turn until the platform had taken it; a campaign's go in groups, by design."""

    stored: int
    sent: int
    lag_seconds: list[float]


def sent(*, since: datetime) -> Sent:
    ours = Delivery.objects.filter(created_at__gte=since)
    done = ours.filter(state=MessageStatus.SENT)
    times = done.filter(kind=Kind.REPLY, finished_at__isnull=False).values_list("due_at", "finished_at")
    return Sent(ours.count(), done.count(), [(finished - due).total_seconds() for due, finished in times.iterator()])


def sent_wait(*, since: datetime, seconds: float) -> int:
    """Return as soon as all have gone out, or after so long; how many have not."""
    ours = Delivery.objects.filter(created_at__gte=since)
    end = time.monotonic() + seconds
    while (left := ours.filter(state__in=OPEN_STATES).count()) and time.monotonic() < end:
        time.sleep(1)
    return left + ours.filter(state__in=TROUBLE_STATES).count()
