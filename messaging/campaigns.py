"""Answers a wish to write to many fans at once: to a list of them, or to all that match.

Touches services, and the queue after the commit. Campaign, messages, deliveries and slots stand in one transaction.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import FieldError, InvalidInput
from crm.models import Creator, Fan, MessageStatus, User
from crm.outbound_services import conversations_begin
from crm.payloads import check_content, media_attachments, media_urls
from crm.placeholders import placeholders_check, placeholders_fill, placeholders_fill_shortest
from crm.selectors import fan_audience, fan_map_by_recipient
from crm.stored_words import in_words
from messaging import campaign_reports, outbox, publishing, readiness, selectors, services, slot_book
from messaging.campaign_reports import CampaignReport
from messaging.errors import QueueRefused
from messaging.failed_retry import CAMPAIGN_MAX, failed_retry
from messaging.message_selectors import campaign_refused_like, repeat_possible
from messaging.models import Campaign, CampaignStatus, SendingProfile, Stage
from messaging.outbox import Addressed
from messaging.reasons import Blocked

logger = structlog.get_logger(__name__)
BULK_MAX_RECIPIENTS = 100
NAME_MAX_CHARACTERS = 200
PREVIEW_EXAMPLES = 3
UNNAMED = "Bulk message of "


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """One text to fans that are named: by their id at the platform, or as `fan_<our id>`.

    Placeholders in it are filled in for each fan.
    """

    recipient_ids: Sequence[str]
    content: str
    media_urls: Sequence[str] = ()
    price_cents: int = 0
    campaign_name: str = ""
    priority: int = 5
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a campaign is for: fans for whom everything given holds; `tags` asks for at least one, `exclude` for ids.

    `recipient_ids` are fans chosen one by one, None where none were. Every fan is asked for by `everybody`, so that
    a condition which went missing on its way reaches no one.
    """

    everybody: bool = False
    recipient_ids: Sequence[str] | None = None
    tags: Sequence[str] = ()
    min_value_cents: int | None = None
    active_since: datetime | None = None
    not_messaged_since: datetime | None = None
    exclude: Sequence[str] = ()

    @property
    def narrows(self) -> bool:
        """Whether a condition leaves anyone out; a value of at least 0 does not."""
        return bool(
            self.recipient_ids is not None
            or self.tags
            or self.min_value_cents
            or self.active_since
            or self.not_messaged_since
        )

    def to_json(self) -> dict[str, Any]:
        given = {
            "everybody": self.everybody or None,
            "recipientIds": list(self.recipient_ids or ()),
            "tags": list(self.tags),
            "minValueCents": self.min_value_cents,
            "activeSince": self.active_since.isoformat() if self.active_since else None,
            "notMessagedSince": self.not_messaged_since.isoformat() if self.not_messaged_since else None,
            "exclude": list(self.exclude),
        }
        return {name: value for name, value in given.items() if value not in (None, [])}


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """One text to all fans of an audience; placeholders in it are filled in for each fan."""

    name: str
    content: str
    audience: Audience
    media_urls: Sequence[str] = ()
    price_cents: int = 0
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A recipient whose message SQS did not take; it is stored as `failed` and can be sent again."""

    recipient_id: str
    message_id: UUID
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class CampaignReceipt:
    """What became of a wish to write to many: how the campaign stands, and whose messages SQS did not take."""

    report: CampaignReport
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    fan: Fan
    text: str


@dataclass(frozen=True, slots=True)
class CampaignPreview:
    """What a campaign would be now.

    `estimated_completion_at` is None where it would reach nobody, or nothing can go out now; `blocked` says why.
    """

    total: int
    examples: tuple[Example, ...]
    estimated_completion_at: datetime | None
    blocked: Blocked | None = None


def bulk_send(
    *,
    creator: Creator,
    user: User | None,
    request: BulkRequest,
    trace_id: str = "",
    on_stored: Callable[[int], None] | None = None,
) -> CampaignReceipt:
    """Write one text to up to 100 fans that are named. `on_stored` gets the campaign's id in its transaction.

    Raises InvalidInput that names each recipient it does not find, with nothing stored, and QueueRefused where SQS
    took none of the messages: then all are stored as `failed`, and the same wish repeated takes them up, as in
    services.message_send.
    """
    publishing.queueing_check()
    name = request.campaign_name.strip() or f"{UNNAMED}{timezone.now():%Y-%m-%d %H:%M} UTC"
    errors = _check_words(request) + _check_name(name, "campaign_name")
    errors += services.check_priority(request.priority)
    errors += services.check_schedule(request.scheduled_at)
    fans: list[Fan] = []
    if not 1 <= len(request.recipient_ids) <= BULK_MAX_RECIPIENTS:
        errors.append(
            FieldError(
                "recipient_ids",
                "out_of_range",
                gettext("Name from 1 to %(most)s recipients at a time.") % {"most": BULK_MAX_RECIPIENTS},
            )
        )
    else:
        fans, wrong = _find(creator=creator, recipient_ids=request.recipient_ids, name="recipient_ids")
        errors += wrong
    if errors:
        raise InvalidInput(gettext("The messages cannot be sent as they are."), errors=tuple(errors))
    campaign = Campaign(
        creator=creator,
        created_by=user,
        name=name,
        content=request.content,
        attachments=media_attachments(request.media_urls),
        price_cents=request.price_cents,
        audience={"recipientIds": list(request.recipient_ids)},
        scheduled_at=request.scheduled_at,
    )
    profile = selectors.sending_profile(creator=creator)
    if profile is not None and repeat_possible(profile):
        before = campaign_refused_like(
            creator=creator,
            user=user,
            wish=campaign,
            name_begins=request.campaign_name.strip() or UNNAMED,
            priority=request.priority,
        )
        if before is not None:
            if on_stored is not None:
                on_stored(before.pk)
            return campaign_take_up(creator=creator, campaign_id=before.pk, trace_id=trace_id)
    return _start(
        campaign,
        user=user,
        fans=lambda: fans,
        priority=request.priority,
        fail=True,
        trace_id=trace_id,
        on_stored=on_stored,
    )


def campaign_create(
    *,
    creator: Creator,
    user: User | None,
    request: CampaignRequest,
    trace_id: str = "",
    on_stored: Callable[[int], None] | None = None,
) -> CampaignReceipt:
    """Write to every fan of the audience, however many they are, from now on or from `scheduled_at` on.

    on_stored: called with the campaign's id in the transaction that stores it.
    Raises InvalidInput, naming the fields; an audience without a fan is one. Where SQS has trouble, the messages stay
    `pending` and the sweeper brings them there.
    """
    publishing.queueing_check()
    audience = _check_campaign(creator=creator, request=request)
    campaign = Campaign(
        creator=creator,
        created_by=user,
        name=request.name.strip(),
        content=request.content,
        attachments=media_attachments(request.media_urls),
        price_cents=request.price_cents,
        audience=request.audience.to_json(),
        scheduled_at=request.scheduled_at,
    )
    return _start(
        campaign,
        user=user,
        fans=lambda: audience.only("platform_id", "name", "handle"),
        fail=False,
        trace_id=trace_id,
        on_stored=on_stored,
    )


def campaign_preview(*, creator: Creator, request: CampaignRequest) -> CampaignPreview:
    """How many fans a campaign would reach, what three of them would read and when it would be done; stores nothing.

    It may lack what is still to be written: whom it is for can be counted before.
    """
    audience = _check_campaign(creator=creator, request=request, unfinished=True)
    total = audience.count()
    examples = tuple(Example(fan=fan, text=_read_by(fan, request.content)) for fan in audience[:PREVIEW_EXAMPLES])
    now = timezone.now()
    profile = selectors.sending_profile(creator=creator) or SendingProfile(creator=creator)
    last = slot_book.slots_plan(
        profile,
        campaign=True,
        taken=selectors.campaign_slots_taken(profile=profile),
        count=total,
        earliest=max(now, request.scheduled_at or now),
        busy=selectors.campaign_stretches(creator_id=creator.pk),
    )[-1:]
    blocked = readiness.sending_blocked(creator=creator)
    return CampaignPreview(
        total=total,
        examples=examples,
        estimated_completion_at=last[0] if last and blocked is None else None,
        blocked=blocked,
    )


def _start(
    campaign: Campaign,
    *,
    user: User | None,
    fans: Callable[[], Sequence[Fan] | QuerySet[Fan]],
    priority: int = 5,
    fail: bool,
    trace_id: str,
    on_stored: Callable[[int], None] | None,
) -> CampaignReceipt:
    """Store all of it or nothing, publish after the commit what is due soon, and say what SQS did not take."""
    refusals: dict[UUID, publishing.Refusal] = {}
    slot_book.sending_profile_ensure(creator_id=campaign.creator_id)
    # Before as well: who writes to one of these fans for the first time would wait until a long transaction ends.
    conversations_begin(creator=campaign.creator, fan_ids=[fan.pk for fan in fans()])
    with transaction.atomic():
        # Before the fans are chosen: a second press on the button sees what the first one wrote.
        slot_book.campaign_lane_lock(creator_id=campaign.creator_id)
        recipients = [
            Addressed(fan_id=fan.pk, recipient_id=fan.platform_id, text=_read_by(fan, campaign.content))
            for fan in fans()
        ]
        _check_recipients(recipients, campaign)
        campaign.save()
        pending = outbox.campaign_bulk_create(
            campaign=campaign, user=user, recipients=recipients, priority=priority, trace_id=trace_id
        )
        if on_stored is not None:
            on_stored(campaign.pk)
        # Robust, as in services: what is stored is the sweeper's to publish where this breaks.
        transaction.on_commit(lambda: refusals.update(publishing.publish(pending, fail=fail)), robust=True)
    logger.info("campaign started", campaign_id=campaign.pk, recipients=len(recipients))
    return _receipt(campaign, refused=refusals)


def campaign_take_up(*, creator: Creator, campaign_id: int, trace_id: str = "") -> CampaignReceipt:
    """Go on with those messages of a stored campaign that SQS did not take. Raises as bulk_send does."""
    campaign = selectors.campaign_get(creator=creator, campaign_id=campaign_id)
    refused = selectors.campaign_ledger(campaign=campaign).filter(state=MessageStatus.FAILED, stage=Stage.ENQUEUE)
    if campaign.status != CampaignStatus.CANCELLED and refused.exists():
        failed_retry(
            creator_id=creator.pk,
            campaign_id=campaign.pk,
            stage=Stage.ENQUEUE,
            limit=CAMPAIGN_MAX,
            trace_id=trace_id,
        )
    return campaign_receipt(creator=creator, campaign_id=campaign_id)


def campaign_receipt(*, creator: Creator, campaign_id: int) -> CampaignReceipt:
    """What became of a campaign that was stored before. Raises as bulk_send does, where SQS took none of it."""
    campaign = selectors.campaign_get(creator=creator, campaign_id=campaign_id)
    refused = selectors.campaign_ledger(campaign=campaign).filter(state=MessageStatus.FAILED, stage=Stage.ENQUEUE)
    return _receipt(campaign, refused=[delivery.pk for delivery in refused])


def _receipt(campaign: Campaign, *, refused: Collection[UUID]) -> CampaignReceipt:
    report = campaign_reports.campaign_report(campaign)
    failed = _failed(campaign, refused)
    if failed and len(failed) == report.total:
        raise QueueRefused(
            gettext("The messages are stored but none could be queued: %(reason)s You can send them again.")
            % {"reason": in_words(failed[0].reason)},
            extra={
                "campaignId": campaign.pk,
                "status": report.status,
                "failed": [
                    {"recipientId": e.recipient_id, "messageId": str(e.message_id), "code": e.code, "reason": e.reason}
                    for e in failed
                ],
            },
            retry_after=30,
        )
    return CampaignReceipt(report=report, failed=failed)


def _check_recipients(recipients: Sequence[Addressed], campaign: Campaign) -> None:
    if not recipients:
        raise InvalidInput(
            gettext("The campaign would reach nobody."),
            errors=(FieldError("audience", "empty", gettext("No fan matches this audience.")),),
        )
    longest = max(recipients, key=lambda each: len(each.text))
    errors = check_content(
        content=longest.text,
        media_urls=media_urls(campaign.attachments),
        price_cents=campaign.price_cents,
    )
    if errors:
        raise InvalidInput(gettext("The message is too long once a fan's name is filled in."), errors=tuple(errors))


def _failed(campaign: Campaign, refused: Collection[UUID]) -> tuple[Failed, ...]:
    """Those that are `failed` now; what stayed `pending` goes out by itself."""
    if not refused:
        return ()
    rows = selectors.campaign_ledger(campaign=campaign).filter(pk__in=refused, state=MessageStatus.FAILED)
    return tuple(
        Failed(
            recipient_id=delivery.fan.platform_id,
            message_id=delivery.pk,
            code=delivery.reason_code,
            reason=delivery.reason,
        )
        for delivery in rows.order_by("pk")
    )


def _read_by(fan: Fan, text: str) -> str:
    return placeholders_fill(text, name=fan.name, handle=fan.handle)


def _check_words(request: BulkRequest | CampaignRequest) -> list[FieldError]:
    """What is wrong for every fan; _check_recipients looks at the longest text once all are filled in."""
    return check_content(
        content=placeholders_fill_shortest(request.content),
        media_urls=request.media_urls,
        price_cents=request.price_cents,
    ) + placeholders_check(request.content)


def _check_name(name: str, field_name: str) -> list[FieldError]:
    if not name.strip():
        return [FieldError(field_name, "required", gettext("Give the campaign a name."))]
    if len(name) > NAME_MAX_CHARACTERS or "\x00" in name:
        return [
            FieldError(
                field_name,
                "invalid",
                gettext("A name holds at most %(most)s characters and no NUL.") % {"most": NAME_MAX_CHARACTERS},
            )
        ]
    return []


def _find(*, creator: Creator, recipient_ids: Sequence[str], name: str) -> tuple[list[Fan], list[FieldError]]:
    """The fans, each once, and what is wrong with the ids, one by one."""
    known = fan_map_by_recipient(creator=creator, recipient_ids=recipient_ids)
    fans: dict[int, Fan] = {}
    errors = []
    for index, recipient_id in enumerate(recipient_ids):
        fan = known.get(recipient_id)
        if fan is None:
            errors.append(FieldError(f"{name}[{index}]", "recipient_not_found", gettext("There is no such fan.")))
        elif fan.pk in fans:
            errors.append(FieldError(f"{name}[{index}]", "duplicate", gettext("This fan is named already.")))
        else:
            fans[fan.pk] = fan
    return list(fans.values()), errors


def _check_everybody(audience: Audience) -> list[FieldError]:
    """Every fan is asked for as such, and not beside conditions."""
    if audience.everybody and audience.narrows:
        detail = gettext("This stands beside conditions that leave fans out. Give it, or the conditions.")
        return [FieldError("audience.everybody", "not_alone", detail)]
    if not audience.everybody and not audience.narrows:
        detail = gettext('Say who gets it: give a condition, or "everybody": true for every fan.')
        return [FieldError("audience", "everybody_not_asked", detail)]
    return []


def _check_campaign(*, creator: Creator, request: CampaignRequest, unfinished: bool = False) -> QuerySet[Fan]:
    """The fans that it is for. Raises InvalidInput; unfinished: not for what is missing."""
    errors = _check_name(request.name, "name")
    errors += _check_words(request)
    errors += services.check_schedule(request.scheduled_at)
    errors += _check_everybody(request.audience)
    excluded, wrong = _find(creator=creator, recipient_ids=request.audience.exclude, name="audience.exclude")
    errors += [error for error in wrong if error.code != "duplicate"]
    chosen = None
    if (wanted := request.audience.recipient_ids) is not None:
        chosen, wrong = _find(creator=creator, recipient_ids=wanted, name="audience.recipient_ids")
        errors += [error for error in wrong if error.code != "duplicate"]
        if not wanted:
            errors.append(FieldError("audience.recipient_ids", "required", gettext("Choose at least one fan.")))
    if unfinished:
        errors = [error for error in errors if error.code != "required"]
    if errors:
        raise InvalidInput(gettext("The campaign cannot be sent as it is."), errors=tuple(errors))
    return fan_audience(
        creator=creator,
        tags=request.audience.tags,
        min_value_cents=request.audience.min_value_cents,
        active_since=request.audience.active_since,
        not_messaged_since=request.audience.not_messaged_since,
        only_ids=None if chosen is None else [fan.pk for fan in chosen],
        exclude_ids=[fan.pk for fan in excluded],
    )
