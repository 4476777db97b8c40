"""Answers what becomes of one message that came off the queue: sent, later, or already settled.

Touches the limiter, the gateway and, through transitions, deliveries. The queue says which row; the row is the truth.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone
from django.utils.translation import gettext_noop

from crm.models import MessageStatus
from crm.services import fan_identify
from messaging import metrics, publishing, queue, selectors, transitions
from messaging.errors import LimiterUnavailable, MalformedBody, QueueError
from messaging.gateways import Bypassed, Gateway, Outcome, Rejected, Scope, Sent, Unknown, repeatable_since
from messaging.models import Delivery, Kind, Stage
from messaging.payloads import Dispatch, dispatch_parse
from messaging.rate_limiter import Grant, Limit, RateLimiter, Turn, Verdict
from messaging.slots import REPLY_RESERVE
from messaging.transitions import WAITING, Copy

logger = structlog.get_logger(__name__)

LIMITER_AWAY_DELAY_SECONDS = 15
# How soon a message asks again whether the one before it has gone, where the creator has no gap.
ASK_AGAIN_SECONDS = 0.25


class Disposition(StrEnum):
    """What the door does with the queue's copy."""

    ACKNOWLEDGE = "acknowledge"
    # Left alone: SQS hands it out again after the visibility time-out.
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was begun: handle the same copy again in so many seconds, which its door said that it can wait.

    alone: only this message waits, else its creator does. gap_seconds: what lies between two of the creator's sends.
    """

    seconds: float
    alone: bool
    gap_seconds: float


def backoff(attempts: int) -> timedelta:
    """SEND_BACKOFF_SECONDS·2ⁿ up to its longest, with jitter, so that what failed together does not return together."""
    seconds = min(settings.SEND_BACKOFF_SECONDS * 2 ** min(attempts, 10), settings.SEND_BACKOFF_MAX_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  jitter, not a secret


def limit_of(delivery: Delivery) -> Limit:
    profile = delivery.creator.sending_profile
    return Limit(
        messages=profile.limit_messages,
        window_ms=profile.window_ms,
        gap_ms=profile.min_gap_ms,
        lease_ms=round(settings.SEND_LEASE_SECONDS * 1_000),
    )


def pause_seconds(delivery: Delivery, outcome: Rejected) -> float:
    """For how long a platform that said "too fast" is left alone; never less than the creator's own gap."""
    asked = settings.RATE_LIMITED_PAUSE_SECONDS if outcome.retry_after is None else outcome.retry_after
    return max(asked, delivery.creator.sending_profile.min_gap_ms / 1_000)


def verdict_of(outcome: Outcome) -> Verdict:
    """What an outcome says of the platform; a pace or a message that it refuses says that it answers, and no more."""
    if isinstance(outcome, Sent):
        return Verdict.WELL
    if isinstance(outcome, Bypassed):
        return Verdict.NOTHING
    if isinstance(outcome, Rejected) and (outcome.permanent or outcome.rate_limited or outcome.scope is Scope.CREATOR):
        return Verdict.NOTHING
    return Verdict.TROUBLE


@dataclass(frozen=True, slots=True)
class Consumer:
    """Handles messages one by one; safe to share between threads. The worker and a Lambda handler are doors to it."""

    limiter: RateLimiter
    gateway: Gateway

    def handle(self, received: queue.Received, *, patience_seconds: float = 0) -> Disposition | Later:
        """One message, to its end. Never raises: trouble that may pass leaves the copy where SQS brings it back.

        patience_seconds: how long the door can keep a message that has to wait. One that waits longer hops: a new slot
        and a fresh copy on the queue, so that its receive count stays 1.
        """
        try:
            dispatch = dispatch_parse(received.body)
        except MalformedBody as error:
            return self._dead_letter(received, error.detail)
        if dispatch is None:
            return Disposition.ACKNOWLEDGE
        with structlog.contextvars.bound_contextvars(request_id=dispatch.trace_id):
            return self._handle_logged(dispatch, received, patience_seconds)

    def _handle_logged(
        self, dispatch: Dispatch, received: queue.Received, patience_seconds: float
    ) -> Disposition | Later:
        try:
            outcome = self._handle_dispatch(Copy(dispatch.message_id, dispatch.dispatch_id), patience_seconds)
            if isinstance(outcome, Disposition):
                told = {"message_id": str(dispatch.message_id), "dispatch_id": str(dispatch.dispatch_id)}
                logger.info("copy handled", **told, receives=received.receive_count, outcome=outcome.value)
            return outcome
        except (DatabaseError, InterfaceError) as error:
            # Not sent, or sent and not noted: then the lease ends and the same key is used again.
            logger.warning("database trouble while handling a message", error=type(error).__name__)
        except QueueError as error:
            logger.warning("queue trouble while handling a message", code=error.code)
        return Disposition.LEAVE

    def _dead_letter(self, received: queue.Received, reason: str) -> Disposition:
        logger.error("malformed message", reason=reason)
        if not settings.SQS_RATE_LIMITER_DLQ_URL:
            # SQS moves it by itself once it has been received often enough.
            return Disposition.LEAVE
        copy = queue.Outgoing(key="malformed", body=received.body, delay_seconds=0, group="")
        refused = queue.send([copy], queue_url=settings.SQS_RATE_LIMITER_DLQ_URL)["malformed"]
        return Disposition.LEAVE if refused else Disposition.ACKNOWLEDGE

    def _handle_dispatch(self, copy: Copy, patience: float) -> Disposition | Later:
        read_at = time.monotonic()
        delivery = selectors.delivery_for_dispatch(message_id=copy.message_id)
        if delivery is None or delivery.dispatch_id != copy.dispatch_id:
            # Deleted, or replaced by a newer copy.
            return Disposition.ACKNOWLEDGE
        if delivery.state not in WAITING:
            return self._settled(delivery)
        if delivery.held is not None:
            transitions.delivery_set_aside([copy], to=delivery.held)
            return Disposition.ACKNOWLEDGE
        now = timezone.now()
        if self._key_forgotten(delivery, now):
            # It waited for long, with its creator paused, say.
            transitions.delivery_unrepeated(
                copy,
                code="key_forgotten",
                reason=gettext_noop(
                    "An attempt may have reached the fan, and it waited too long to be sent again safely."
                    " Look in the chat before you send it again."
                ),
            )
            return Disposition.ACKNOWLEDGE
        gap = timedelta(milliseconds=delivery.creator.sending_profile.min_gap_ms)
        early = (delivery.due_at - now).total_seconds()
        if early > patience:
            return self._again(delivery, delay_seconds=None)
        if early > 0:
            return Later(early, alone=True, gap_seconds=gap.total_seconds())
        earlier_due_at = selectors.earlier_open(delivery=delivery)
        if earlier_due_at is not None:
            until = max(earlier_due_at, now) + gap
            if (until - now).total_seconds() > patience:
                return self._hop(delivery, copy, alone_until=until)
            return Later(max((until - now).total_seconds(), ASK_AGAIN_SECONDS), True, gap.total_seconds())
        try:
            wait_ms = self._acquire(delivery, copy, read_at)
        except LimiterUnavailable:
            # Nothing goes out while nobody can say that it may; a fresh copy keeps the receive count at 1.
            return self._again(delivery, delay_seconds=LIMITER_AWAY_DELAY_SECONDS)
        if wait_ms / 1_000 > patience:
            return self._hop(delivery, copy, not_before=now + timedelta(milliseconds=wait_ms))
        if wait_ms:
            return Later(wait_ms / 1_000, alone=False, gap_seconds=gap.total_seconds())
        return self._send(delivery, copy)

    def _key_forgotten(self, delivery: Delivery, now: datetime) -> bool:
        """Whether it is to be repeated under a key that the platform may know no more, so that the fan could get it
        twice. What a person sent again has no attempts, and a platform without keys is asked again by people alone."""
        since = repeatable_since(self.gateway, now=now)
        first = delivery.first_attempt_at
        repeat = delivery.key_in_doubt and delivery.attempts > 0
        return repeat and since is not None and first is not None and first <= since

    def _acquire(self, delivery: Delivery, copy: Copy, read_at: float) -> int:
        """Ask for a token; 0 when it is ours, else the milliseconds until it could be.

        read_at: when the row was, by time.monotonic: it has been quiet for that much longer.
        """
        quiet: timedelta | None = getattr(delivery, "quiet", None)
        seconds = None if quiet is None else quiet.total_seconds() + time.monotonic() - read_at
        grant = self._ask(delivery, copy, quiet_ms=None if seconds is None else round(seconds * 1_000))
        return 0 if grant.granted else grant.wait_ms

    def _ask(self, delivery: Delivery, copy: Copy, *, quiet_ms: int | None) -> Grant:
        return self.limiter.acquire(
            creator_id=delivery.creator_id,
            dispatch_id=str(copy.dispatch_id),
            limit=limit_of(delivery),
            need=1 if delivery.kind == Kind.REPLY else 1 + REPLY_RESERVE,
            quiet_ms=quiet_ms,
        )

    def _confirm(self, delivery: Delivery, copy: Copy) -> int:
        """0 where the token is ours now that the claim is stored, else the milliseconds until it could be.

        Redis may have been emptied between the grant and the claim, and have granted another message to a creator who
        had not sent lately, as far as anybody could know. From the claim on everybody can.
        """
        try:
            grant = self._ask(delivery, copy, quiet_ms=0)
        except LimiterUnavailable:
            return LIMITER_AWAY_DELAY_SECONDS * 1_000
        return 0 if grant.granted else grant.wait_ms

    def _again(self, delivery: Delivery, *, delay_seconds: int | None) -> Disposition:
        """A fresh copy of the same dispatch, for later; the row stays as it is."""
        refused = publishing.republish(delivery, delay_seconds=delay_seconds)
        return Disposition.LEAVE if refused else Disposition.ACKNOWLEDGE

    def _hop(
        self,
        delivery: Delivery,
        copy: Copy,
        *,
        not_before: datetime | None = None,
        alone_until: datetime | None = None,
    ) -> Disposition:
        """A new slot and a fresh copy instead of a visibility time-out: rate-limited is not failed."""
        self._reschedule(delivery, copy, expected=WAITING, not_before=not_before, alone_until=alone_until, hopped=True)
        metrics.count("OnlyFansMessagesDeferred")
        return Disposition.ACKNOWLEDGE

    def _reschedule(
        self,
        delivery: Delivery,
        copy: Copy,
        *,
        expected: tuple[MessageStatus, ...],
        not_before: datetime | None = None,
        alone_until: datetime | None = None,
        attempted: bool = False,
        hopped: bool = False,
        code: str = "",
        reason: str = "",
    ) -> None:
        fresh = transitions.delivery_rescheduled(
            copy,
            expected=expected,
            creator_id=delivery.creator_id,
            campaign=delivery.kind == Kind.CAMPAIGN,
            not_before=not_before,
            alone_until=alone_until,
            attempted=attempted,
            hopped=hopped,
            code=code,
            reason=reason,
        )
        if fresh is not None:
            publishing.publish([fresh.message_id], fail=False)

    def _send(self, delivery: Delivery, copy: Copy) -> Disposition:
        granted_at = time.monotonic()
        lease = timedelta(seconds=settings.SEND_LEASE_SECONDS)
        if not transitions.delivery_claimed(copy, creator_id=delivery.creator_id, lease=lease):
            self._token_unused(delivery, copy)
            return Disposition.ACKNOWLEDGE
        wait_ms = self._confirm(delivery, copy)
        held_up = time.monotonic() - granted_at > settings.SEND_LEASE_SECONDS - settings.SEND_TIMEOUT_SECONDS
        if held_up or wait_ms:
            # Held up for so long that the send could outlive the claim, or the limiter forgot us meanwhile.
            self._token_end(self.limiter.refund, delivery, copy)
            not_before = timezone.now() + timedelta(milliseconds=wait_ms)
            self._reschedule(delivery, copy, expected=(MessageStatus.SENDING,), not_before=not_before)
            return Disposition.ACKNOWLEDGE
        begun_at = time.monotonic()
        metrics.observe("OnlyFansDispatchLag", (timezone.now() - delivery.due_at).total_seconds())
        outcome = self.gateway.send_message(publishing.outbound_of(delivery))
        metrics.observe("OnlyFansProcessingTime", time.monotonic() - begun_at)
        self._token_return(delivery, copy, outcome)
        return self._store(delivery, copy, outcome)

    def _token_unused(self, delivery: Delivery, copy: Copy) -> None:
        """The claim came too late: else nobody of this creator could send for as long as a send may last."""
        state = selectors.dispatch_state(message_id=copy.message_id, dispatch_id=copy.dispatch_id)
        if state == MessageStatus.SENDING:
            # Somebody else sends it under the same token, which is not ours to give back.
            return
        # Stopped in this moment, before anybody began it; else a quicker copy may have been sent under this token.
        stopped = state in (MessageStatus.PARKED, MessageStatus.CANCELLED)
        self._token_end(self.limiter.refund if stopped else self.limiter.settle, delivery, copy)

    def _token_end(self, end: Callable[..., Turn], delivery: Delivery, copy: Copy) -> None:
        """end: `refund` where nothing was asked of the platform, else `settle`."""
        try:
            end(creator_id=delivery.creator_id, dispatch_id=str(copy.dispatch_id), limit=limit_of(delivery))
        except LimiterUnavailable:
            logger.warning("token not returned: redis is away", message_id=str(delivery.pk))

    def _token_return(self, delivery: Delivery, copy: Copy, outcome: Outcome) -> None:
        limit, creator_id, dispatch_id = limit_of(delivery), delivery.creator_id, str(copy.dispatch_id)
        end = self.limiter.refund if isinstance(outcome, Rejected | Bypassed) else self.limiter.settle
        try:
            turn = end(creator_id=creator_id, dispatch_id=dispatch_id, limit=limit, verdict=verdict_of(outcome))
            if isinstance(outcome, Rejected) and outcome.rate_limited:
                for_ms = round(pause_seconds(delivery, outcome) * 1_000)
                self.limiter.hold(creator_id=creator_id, for_ms=for_ms, limit=limit)
        except LimiterUnavailable:
            # The token's own lease brings it back, later than it would have been.
            logger.warning("token not returned: redis is away", message_id=str(delivery.pk))
            return
        if turn.opened_ms:
            logger.warning("breaker opened", creator_id=creator_id, seconds=turn.opened_ms / 1_000)
            metrics.count("OnlyFansBreakerOpened")
        if turn.closed:
            logger.info("breaker closed", creator_id=creator_id)
            metrics.count("OnlyFansBreakerClosed")

    def _store(self, delivery: Delivery, copy: Copy, outcome: Outcome) -> Disposition:
        log = logger.bind(
            message_id=str(delivery.pk),
            creator_id=delivery.creator_id,
            user_id=str(delivery.message.sender_id or ""),
        )
        if isinstance(outcome, Sent):
            transitions.delivery_sent(copy, platform_message_id=outcome.platform_message_id)
            if outcome.fan_platform_id:
                fan_identify(fan=delivery.fan, platform_id=outcome.fan_platform_id)
            metrics.count("OnlyFansMessagesSent")
            log.info("message sent")
        elif isinstance(outcome, Unknown):
            transitions.delivery_unknown(copy, code=outcome.code, reason=outcome.reason, repeatable=outcome.repeatable)
            metrics.count("OnlyFansMessagesUnknown")
            log.warning("message outcome unknown", code=outcome.code)
        elif isinstance(outcome, Bypassed) and not delivery.key_in_doubt:
            transitions.delivery_bypassed(copy, code=outcome.code, reason=outcome.reason)
            log.info("message bypassed", code=outcome.code)
        elif isinstance(outcome, Bypassed):
            # An earlier attempt, on a platform that was configured then, may have reached the fan.
            transitions.delivery_unknown(copy, code=outcome.code, reason=outcome.reason)
            log.warning("message outcome unknown", code=outcome.code)
        else:
            log.warning("message refused", code=outcome.code, permanent=outcome.permanent)
            transitions.delivery_key_renewed(copy)
            return self._store_rejected(delivery, copy, outcome)
        return Disposition.ACKNOWLEDGE

    def _store_rejected(self, delivery: Delivery, copy: Copy, outcome: Rejected) -> Disposition:
        if outcome.scope is Scope.CREATOR:
            transitions.sending_paused(creator_id=delivery.creator_id, reason=outcome.reason, code=outcome.code)
            self._reschedule(
                delivery,
                copy,
                expected=(MessageStatus.SENDING,),
                code=outcome.code,
                reason=outcome.reason,
            )
        elif outcome.rate_limited:
            self._reschedule(
                delivery,
                copy,
                expected=(MessageStatus.SENDING,),
                not_before=timezone.now() + timedelta(seconds=pause_seconds(delivery, outcome)),
                code=outcome.code,
                reason=outcome.reason,
            )
        elif outcome.permanent or delivery.attempts + 1 >= settings.SEND_MAX_ATTEMPTS:
            return self._fail(delivery, copy, outcome)
        else:
            self._reschedule(
                delivery,
                copy,
                expected=(MessageStatus.SENDING,),
                alone_until=timezone.now() + backoff(delivery.attempts),
                attempted=True,
                code=outcome.code,
                reason=outcome.reason,
            )
        return Disposition.ACKNOWLEDGE

    def _fail(self, delivery: Delivery, copy: Copy, outcome: Rejected) -> Disposition:
        failed = transitions.delivery_failed(
            copy, stage=Stage.SEND, code=outcome.code, reason=outcome.reason, attempted=True
        )
        metrics.count("OnlyFansMessagesFailed" if failed else "OnlyFansMessagesUnknown")
        return self._bury(delivery, outcome.code) if failed else Disposition.ACKNOWLEDGE

    def _settled(self, delivery: Delivery) -> Disposition:
        """Its end is known. One that failed comes again only where it is not certain that the dead letters have it."""
        if delivery.state == MessageStatus.FAILED and delivery.stage == Stage.SEND:
            return self._bury(delivery, delivery.reason_code)
        return Disposition.ACKNOWLEDGE

    def _bury(self, delivery: Delivery, code: str) -> Disposition:
        """One copy in the dead letters, for whoever watches them; the row says `failed` whether SQS takes it or not.

        Where it does not, the queue's own copy comes again. A second one in the dead letters goes in the next sweep.
        """
        if not settings.SQS_RATE_LIMITER_DLQ_URL:
            return Disposition.ACKNOWLEDGE
        key = str(delivery.pk)
        letter = queue.Outgoing(
            key=key,
            body=publishing.body_of(delivery).to_json(),
            delay_seconds=0,
            group=str(delivery.creator_id),
            attributes={"reasonCode": code},
        )
        refused = queue.send([letter], queue_url=settings.SQS_RATE_LIMITER_DLQ_URL)[key]
        if refused:
            logger.error("no copy in the dead letters yet", message_id=key, code=refused.code)
        return Disposition.LEAVE if refused else Disposition.ACKNOWLEDGE
