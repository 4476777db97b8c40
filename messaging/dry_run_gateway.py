"""Answers messaging's port where no platform is configured: says in the log what would be sent, and sends nothing.
Touches the log alone."""

from datetime import datetime

import structlog
from django.utils.translation import gettext_noop

from messaging.gateways import Bypassed, CannotSay, OutboundMessage, Outcome, Unready
from messaging.reasons import BlockCode

logger = structlog.get_logger(__name__)
REASON = gettext_noop("No platform is configured here, so nothing was sent (a dry run).")


class DryRunGateway:
    """No fan ever gets anything through it, and no message says that one did."""

    # Nothing is kept under a key, so what is in doubt from another gateway is not tried again by itself.
    honours_idempotency_key = False
    key_lifetime_seconds = 0

    def send_message(self, message: OutboundMessage) -> Outcome:
        """What would be sent goes to the log by its size, never by its words."""
        logger.info(
            "dry run: would be sent",
            message_id=str(message.message_id),
            creator_id=message.creator_id,
            characters=len(message.text),
            media=len(message.media),
            price_cents=message.price_cents,
        )
        return Bypassed(code="dry_run", reason=REASON)

    def find_message(self, message: OutboundMessage, *, since: datetime) -> CannotSay:
        """There is no chat to read."""
        return CannotSay(reason=REASON)

    def unready(self, creator_id: int) -> Unready:
        """Nothing is ever sent."""
        return Unready(
            BlockCode.DRY_RUN,
            gettext_noop("No platform is configured here (MESSAGING_GATEWAY), so messages are logged and never sent."),
        )

    def probe(self) -> None:
        """Nothing is asked of anybody, so nothing can be out of reach."""
