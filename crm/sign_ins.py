"""Answers where users are signed in, and whether a sign-in still stands. The only writer of sign-ins and their ends."""

from datetime import timedelta
from uuid import UUID, uuid4

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import NotFound
from crm.models import EndedSignIn, SignIn, User
from crm.statements import rows_read

# Longer than the last token of a sign-in can live.
ENDED_KEPT_FOR = timedelta(days=30)
AGENT_MAX = 200


def sign_in_new() -> str:
    """A name for one sign-in, which all of its tokens carry."""
    return str(uuid4())


def sign_in_user(*, user_id: str, sign_in: str) -> User | None:
    """The user, unless they are disabled or gone, or have ended this sign-in."""
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) < 19) or (name := _name(sign_in)) is None:
        return None
    found = rows_read(
        User,
        "id = %s AND is_active AND NOT EXISTS (SELECT FROM crm_endedsignin WHERE sign_in = %s)",
        [int(user_id), name],
    )
    return next(iter(found), None)


def sign_in_end(*, sign_in: str) -> None:
    """Its tokens open nothing any more."""
    if (name := _name(sign_in)) is not None:
        EndedSignIn.objects.bulk_create([EndedSignIn(sign_in=name, ended_at=timezone.now())], ignore_conflicts=True)


def sign_in_note(*, user: User, agent: str, session_key: str | None = None, sign_in: str | None = None) -> None:
    """Remember that the user signed in: in a browser by its session, or by tokens. Asked twice, it is one."""
    row = SignIn(user=user, session_key=session_key, token_sign_in=sign_in, agent=agent[:AGENT_MAX])
    SignIn.objects.bulk_create([row], ignore_conflicts=True)


def sign_in_seen(*, sign_in: str) -> None:
    """Its tokens were renewed."""
    if (name := _name(sign_in)) is not None:
        SignIn.objects.filter(token_sign_in=name).update(seen_at=timezone.now())


def sign_in_list(*, user: User) -> QuerySet[SignIn]:
    """Where the user is signed in now, the newest first."""
    alive = Exists(Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now()))
    ended = Exists(EndedSignIn.objects.filter(sign_in=OuterRef("token_sign_in")))
    return user.sign_ins.filter(Q(alive) | (Q(session_key=None) & ~ended)).order_by("-began_at", "-pk")


def sign_in_revoke(*, user: User, sign_in_id: int) -> None:
    """End one of the user's own. Raises NotFound."""
    if not _end_rows(user.sign_ins.filter(pk=sign_in_id)):
        raise NotFound(gettext("There is no such sign-in; it may have ended already."))


def sign_ins_end_all(*, user: User, but_session: str = "") -> int:
    """End every sign-in of the user, in browsers and by tokens; answers how many.

    but_session: the browser that asks, which stays.
    """
    rows = user.sign_ins.all()
    return _end_rows(rows.exclude(session_key=but_session) if but_session else rows)


def _end_rows(rows: QuerySet[SignIn]) -> int:
    with transaction.atomic():
        found = list(rows.select_for_update())
        Session.objects.filter(session_key__in=[row.session_key for row in found if row.session_key]).delete()
        ended = [EndedSignIn(sign_in=row.token_sign_in) for row in found if row.token_sign_in]
        EndedSignIn.objects.bulk_create(ended, ignore_conflicts=True)
        SignIn.objects.filter(pk__in=[row.pk for row in found]).delete()
    return len(found)


def sign_ins_purge() -> int:
    """Forget sign-ins that have run out, and ends of which no token can be left; answers how many ends."""
    old = timezone.now() - ENDED_KEPT_FOR
    alive = Exists(Session.objects.filter(session_key=OuterRef("session_key")))
    SignIn.objects.filter(~Q(alive), seen_at__lt=old).delete()
    return EndedSignIn.objects.filter(ended_at__lt=old).delete()[0]


def _name(sign_in: str) -> UUID | None:
    try:
        return UUID(sign_in)
    except ValueError:
        return None
