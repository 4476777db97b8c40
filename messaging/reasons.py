"""Answers why a message stands as it does, where the words hold a value: what its row keeps in English.
Touches nothing.

The web process loads this at its start (messaging/apps.py), so that pages know what a worker wrote.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy

from crm.stored_words import kept_sentence

# Of a message that was written for an account which another took the place of.
ACCOUNT_CHANGED = "account_changed"
GIVEN_UP = kept_sentence(
    "The queue handed it out %(times)s times and no worker came to an end with it. You can send it again."
)
NOT_IN_CHAT = kept_sentence(
    "The chat was read at %(at)s and the message was not there then. Look again before you send it again."
)
NOT_SURELY_IN_CHAT = kept_sentence(
    "The chat was read at %(at)s. It holds this text, and nobody can say whether from this message. Look there."
)
LOOKUP_FAILED = kept_sentence("The fan's id could not be looked up. %(reason)s")
VENDOR_REFUSED = kept_sentence("The vendor refused it with HTTP %(status)s.")
VENDOR_TROUBLED = kept_sentence("The vendor answered HTTP %(status)s.")


class BlockCode(TextChoices):
    """Why nothing of a creator, of a campaign or of a message can go out now; the labels stand beside a message."""

    LIMITER_OFF = "limiter_off", gettext_lazy("sending is switched off")
    SENDING_DISABLED = "sending_disabled", gettext_lazy("sending is not set up")
    DRY_RUN = "dry_run", gettext_lazy("no platform is configured")
    NO_ACCOUNT = "no_account", gettext_lazy("no OnlyFans account is connected")
    SESSION_EXPIRED = "session_expired", gettext_lazy("the OnlyFans session ended")
    PAUSED_BY_PERSON = "paused_by_person", gettext_lazy("sending is paused")
    PAUSED_BY_SYSTEM = "paused_by_system", gettext_lazy("sending is paused")
    QUEUE_AWAY = "queue_away", gettext_lazy("the queue does not answer")
    REDIS_AWAY = "redis_away", gettext_lazy("Redis does not answer")
    WORKER_SILENT = "worker_silent", gettext_lazy("no worker is running")
    CAMPAIGN_PAUSED = "campaign_paused", gettext_lazy("its campaign is paused")
    LATE = "late", gettext_lazy("late")


@dataclass(frozen=True, slots=True)
class Blocked:
    """What holds messages back, as a sentence in the reader's language, and since when where that is known."""

    code: BlockCode
    reason: str
    since: datetime | None = None
