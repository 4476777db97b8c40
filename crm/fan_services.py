"""Answers how a fan comes, changes, goes, comes back and is erased. Writes fans; of an erased one the messages too."""

from collections.abc import Collection, Sequence
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from crm import selectors
from crm.audit import audit_forget
from crm.errors import Conflict, FieldError, InvalidInput, NotFound, Stale
from crm.fan_holders import fan_holders
from crm.idempotency import keys_forget
from crm.models import Conversation, Creator, Direction, Fan, FanBefore, Message

logger = structlog.get_logger(__name__)
# Fans that one call of fans_purge erases at most; the next call goes on.
PURGE_MAX = 500
# Fans that are tagged at a time: the longest page of their list.
TAGGED_MAX = 200


def fan_create(*, creator: Creator, platform_id: str, **fields: Any) -> Fan:
    """Raises Conflict when the creator has a fan with this id, or had one who can still be restored."""
    try:
        with transaction.atomic():
            return Fan.objects.create(creator=creator, platform=creator.platform, platform_id=platform_id, **fields)
    except IntegrityError as error:
        raise _taken(creator, platform_id) or error from error


def fan_update(*, fan: Fan, seen: Collection[int] | None, **fields: Any) -> Fan:
    """Change the fields given, provided that the fan is still in one of the versions that the caller has `seen`.

    None overwrites whatever is there. What is so already is not written, and the version stays. Raises Stale where
    somebody was quicker, NotFound where the fan was deleted, and Conflict where another fan has the new id.
    """
    if "value_cents" in fields:
        fields["value_lift_cents"] = 0  # a person's word on what the fan is worth
    try:
        with transaction.atomic():
            stored = _expected(fan, seen).select_for_update(no_key=True).first()
            if stored is None:
                raise _overtaken(fan)
            changes = {name: value for name, value in fields.items() if getattr(stored, name) != value}
            if changes:
                Fan.objects.filter(pk=fan.pk).update(**changes, updated_at=Now())
            # Before the lock goes: what the caller is shown is what they wrote.
            fan.refresh_from_db()
    except IntegrityError as error:
        raise _taken(fan.creator, fields.get("platform_id", "")) or error from error
    return fan


def fan_bulk_tag(
    *, creator: Creator, fan_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = (), most: int
) -> list[int]:
    """Give these fans some tags and take others away; all of it or nothing. Returns the ids of those that changed.

    most: how many tags a fan may have. Raises InvalidInput, naming the fans that are not the creator's or would have
    more.
    """
    with transaction.atomic():
        rows = Fan.objects.filter(creator=creator, deleted_at=None, pk__in=fan_ids)
        fans = {fan.pk: fan for fan in rows.order_by("pk").select_for_update(no_key=True)}
        errors, changed = [], []
        for index, fan_id in enumerate(fan_ids):
            fan = fans.get(fan_id)
            if fan is None:
                errors.append(FieldError(f"fan_ids[{index}]", "fan_not_found", gettext("There is no such fan.")))
                continue
            tags = list(dict.fromkeys([tag for tag in fan.tags if tag not in remove] + list(add)))
            if len(tags) > most and len(tags) > len(fan.tags):
                errors.append(
                    FieldError(
                        f"fan_ids[{index}]",
                        "too_many",
                        gettext("%(fan)s would have more than %(most)s tags.") % {"fan": fan, "most": most},
                    )
                )
            elif tags != fan.tags:
                fan.tags, fan.updated_at = tags, timezone.now()
                changed.append(fan)
        if errors:
            raise InvalidInput(gettext("No fan was changed."), errors=tuple(errors))
        Fan.objects.bulk_update(changed, ["tags", "updated_at"])
    return [fan.pk for fan in changed]


def fan_delete(*, fan: Fan, seen: Collection[int] | None = None) -> Fan:
    """Hide the fan everywhere; nothing more is sent to them. Can be taken back for selectors.RESTORABLE_FOR.

    Raises what fan_update does.
    """
    with transaction.atomic():
        if not _expected(fan, seen).update(deleted_at=timezone.now(), updated_at=Now()):
            raise _overtaken(fan)
        fan.refresh_from_db()
        for holder in fan_holders():
            holder.withdraw(fan)
    logger.info("fan deleted", fan_id=fan.pk, creator_id=fan.creator_id)
    return fan


def fan_restore(*, fan: Fan) -> Fan:
    """The fan as before, with conversation and messages; what was cancelled stays so. One not deleted stays as is.

    Raises NotFound where the time to restore is over.
    """
    selectors.fans_restorable().filter(pk=fan.pk).update(deleted_at=None, updated_at=Now())
    fan.refresh_from_db()
    if fan.deleted_at is not None:
        raise selectors.fan_not_found()
    logger.info("fan restored", fan_id=fan.pk, creator_id=fan.creator_id)
    return fan


def fan_erase(*, fan: Fan, seen: Collection[int] | None = None) -> None:
    """Forget the fan at once and for good, deleted before or not.

    What stays is an empty row with the messages' times, directions, states and prices, so that counts and sums hold.
    Raises Stale and NotFound.
    """
    with transaction.atomic():
        rows = Fan.objects.filter(pk=fan.pk, erased_at=None)
        if seen is not None:
            rows = rows.filter(version__in=seen)
        locked = rows.select_for_update(no_key=True).first()
        if locked is None:
            raise _overtaken(fan)
        _erase(locked)


def fans_purge() -> int:
    """Erase the fans whose time to be restored is over; answers how many. Several callers share the work.

    One who cannot be erased is logged and left to the next call, so that the others do not wait for that.
    """
    done, failed = 0, set[int]()
    while done + len(failed) < PURGE_MAX:
        fan: Fan | None = None
        try:
            with transaction.atomic():
                due = selectors.fans_due_to_be_erased().exclude(pk__in=failed).order_by("deleted_at")
                fan = due.select_for_update(no_key=True, skip_locked=True).first()
                if fan is None:
                    break
                _erase(fan)
        except Exception:
            if fan is None:
                raise
            logger.exception("fan not erased", fan_id=fan.pk, creator_id=fan.creator_id)
            failed.add(fan.pk)
        else:
            done += 1
    return done


def _erase(fan: Fan) -> None:
    """The caller's transaction holds the fan's row."""
    for holder in fan_holders():
        holder.withdraw(fan)
        holder.erase(fan)
    # The conversation before its messages, as conversation_mark_read locks them.
    Conversation.objects.filter(fan=fan).update(archived=True, unread_count=0)
    said = Message.objects.filter(conversation__fan=fan, direction=Direction.OUT).values_list("pk", flat=True)
    keys_forget(subjects=[str(pk) for pk in said])
    # What an import changed could be put back only where it is remembered.
    FanBefore.objects.filter(fan=fan).delete()
    Message.objects.filter(conversation__fan=fan).update(text="", attachments=[], platform_message_id=None, read=True)
    now = timezone.now()
    Fan.objects.filter(pk=fan.pk).update(
        platform_id=f"erased-{fan.pk}",
        handle="",
        name="",
        email="",
        avatar="",
        tags=[],
        notes="",
        value_cents=0,
        last_seen_at=None,
        deleted_at=fan.deleted_at or now,
        erased_at=now,
        updated_at=now,
    )
    audit_forget(fan=fan)
    logger.info("fan erased", fan_id=fan.pk, creator_id=fan.creator_id)


def _expected(fan: Fan, seen: Collection[int] | None) -> QuerySet[Fan]:
    rows = Fan.objects.filter(pk=fan.pk, deleted_at=None)
    return rows if seen is None else rows.filter(version__in=seen)


def _overtaken(fan: Fan) -> Stale | NotFound:
    """Why no row was in the expected state."""
    if not Fan.objects.filter(pk=fan.pk, deleted_at=fan.deleted_at, erased_at=None).exists():
        return selectors.fan_not_found()
    return Stale(
        gettext("Somebody has changed this fan since you read it. Read it again, then make your change."),
        code="fan_changed",
    )


def _taken(creator: Creator, platform_id: str) -> Conflict | None:
    """Whose id it is; None where it is nobody's, so that something else was wrong."""
    fan = Fan.objects.filter(creator=creator, platform=creator.platform, platform_id=platform_id).first()
    if fan is None:
        return None
    if fan.deleted_at is not None:
        return Conflict(
            gettext("A fan with this id was deleted. Restore that one, or erase it first."),
            code="fan_deleted",
            extra={"fanId": fan.pk},
        )
    return Conflict(gettext("There is a fan with this id already."), code="fan_exists", extra={"fanId": fan.pk})
