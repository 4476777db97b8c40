"""Answers what was changed at a creator, when and by whom, as the database wrote it down. Reads events, users, fans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Q, QuerySet

from crm.models import Creator, Fan, MembershipEvent, User

BEFORE = "before"
# Who did it where no user did: the product itself, a command.
SYSTEM = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Of a change in the list, the newest first; of one moment by kind and then the latest."""

    at: datetime
    kind: str
    event_id: int


@dataclass(frozen=True, slots=True)
class Change:
    """One field, with what was and what is; either is None where there was or is nothing."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`action` is added, changed, key_stored or removed; of fans changed, deleted, restored or erased.

    `user` is None where the account is gone, or where no user did it: `by_user` tells which. `subject` names the row
    as it is now where it can be named: a fan, a member's user, else by its own name.
    """

    position: Position
    action: str
    row_id: int
    subject: str
    by_user: bool
    user: User | None
    door: str
    command: str
    request: str
    changes: Sequence[Change] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which changes: all where nothing is said. `user` is an id, or SYSTEM; `since` is reached, `until` is not."""

    kind: str = ""
    user: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def event_models() -> list[Any]:
    return [apps.get_model(label) for label in settings.AUDIT_EVENTS]


def kind_of(model: Any) -> str:
    """fan, membership, campaign or account."""
    return str(model._meta.model_name).removesuffix("event")  # noqa: SLF001  Django's documented way


def audit_user_list(*, creator: Creator) -> QuerySet[User]:
    """Who works or worked for the creator, as far as that is remembered."""
    were = MembershipEvent.objects.filter(creator=creator).values("user")
    return User.objects.filter(Q(memberships__creator=creator) | Q(pk__in=were)).distinct().order_by("name", "email")


def audit_list(*, creator: Creator, asked: Asked, after: Position | None, limit: int) -> list[Entry]:
    """At most `limit` changes at the creator, the newest first, those that follow the position."""
    found: list[tuple[Position, Any]] = []
    for model in event_models():
        kind = kind_of(model)
        if asked.kind in ("", kind):
            rows = _rows(model, creator, asked, after).order_by("-pgh_created_at", "-pgh_id")[:limit]
            found += [(Position(row.pgh_created_at, kind, row.pgh_id), row) for row in rows]
    found.sort(key=lambda each: (-each[0].at.timestamp(), each[0].kind, -each[0].event_id))
    return _entries(creator, found[:limit])


def audit_all(*, creator: Creator, asked: Asked, page: int = 500) -> Iterator[Entry]:
    """All of them, read a page at a time."""
    after: Position | None = None
    while entries := audit_list(creator=creator, asked=asked, after=after, limit=page):
        yield from entries
        after = entries[-1].position


def _rows(model: Any, creator: Creator, asked: Asked, after: Position | None) -> QuerySet[Any]:
    rows: QuerySet[Any] = model.objects.filter(creator=creator).exclude(pgh_label=BEFORE)
    if asked.user == SYSTEM:
        rows = rows.filter(Q(pgh_context=None) | Q(pgh_context__user__isnull=True))
    elif asked.user is not None:
        rows = rows.filter(pgh_context__user=asked.user)
    if asked.since is not None:
        rows = rows.filter(pgh_created_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(pgh_created_at__lt=asked.until)
    if after is not None:
        same = Q(pgh_created_at=after.at)
        kind = kind_of(model)
        if kind == after.kind:
            same &= Q(pgh_id__lt=after.event_id)
        rows = rows.filter(
            Q(pgh_created_at__lt=after.at) | same if kind >= after.kind else Q(pgh_created_at__lt=after.at)
        )
    return rows


def _entries(creator: Creator, found: Sequence[tuple[Position, Any]]) -> list[Entry]:
    before = _before([row for _, row in found])
    contexts = [row.pgh_context or {} for _, row in found]
    members = {row.user_id for position, row in found if position.kind == "membership"}
    users = User.objects.in_bulk({context["user"] for context in contexts if context.get("user")} | members)
    fans = {row.id for position, row in found if position.kind == "fan"}
    names = {fan.pk: str(fan) for fan in Fan.objects.filter(creator=creator, pk__in=fans, erased_at=None)}
    return [
        _entry(position, row, context, before.get((type(row), row.pk)), users, names)
        for (position, row), context in zip(found, contexts, strict=True)
    ]


def _entry(
    position: Position,
    row: Any,
    context: Mapping[str, Any],
    before: Any,
    users: Mapping[int, User],
    fans: Mapping[int, str],
) -> Entry:
    changes = tuple(_changes(row, before)) if row.pgh_label != "key_stored" else ()
    if position.kind == "fan":
        subject = fans.get(row.id, "")
    elif position.kind == "membership":
        user = users.get(row.user_id)
        subject = (user.name or user.email) if user else ""
    else:
        subject = row.name if position.kind == "campaign" else row.account_id
    return Entry(
        position=position,
        action=_action(position.kind, row, before),
        row_id=row.id,
        subject=subject,
        by_user=bool(context.get("user")),
        user=users.get(context.get("user", SYSTEM)),
        door=context.get("door", ""),
        command=context.get("command", ""),
        request=context.get("request", ""),
        changes=changes,
    )


def _action(kind: str, row: Any, before: Any) -> str:
    if kind == "fan" and before is not None:
        if row.erased_at and not before.erased_at:
            return "erased"
        if bool(row.deleted_at) != bool(before.deleted_at):
            return "deleted" if row.deleted_at else "restored"
    return str(row.pgh_label)


# What the action itself says, or who is spoken of.
_UNSAID = {"id", "creator", "user", "deleted_at", "erased_at"}


def _changes(row: Any, before: Any) -> Iterator[Change]:
    removed = row.pgh_label == "removed"
    for each in row._meta.concrete_fields:  # noqa: SLF001  Django's documented way
        if each.name.startswith("pgh_") or each.name in _UNSAID:
            continue
        value = getattr(row, each.attname)
        was, is_ = (value, None) if removed else (getattr(before, each.attname) if before else None, value)
        if (was or None) != (is_ or None):
            yield Change(each.name, was, is_)


def _before(rows: Sequence[Any]) -> dict[tuple[Any, int], Any]:
    """What the changed rows were: of each the last one before it. The row's lock keeps their order."""
    found: dict[tuple[Any, int], Any] = {}
    for model in {type(row) for row in rows}:
        changed = [row for row in rows if type(row) is model and row.pgh_label == "changed"]
        was = model.objects.filter(
            pgh_label=BEFORE,
            id__in={row.id for row in changed},
            pgh_created_at__in={row.pgh_created_at for row in changed},
        ).order_by("-pgh_id")
        candidates = list(was)
        for row in changed:
            matching = (each for each in candidates if each.id == row.id and each.pk < row.pk)
            if earlier := list(islice(matching, 1)):
                found[model, row.pk] = earlier[0]
    return found
