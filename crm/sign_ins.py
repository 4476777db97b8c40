"""Answers whether a sign-in by token still stands. The only writer of ended sign-ins."""

from datetime import timedelta
from uuid import UUID, uuid4

from django.db.models import Exists
from django.utils import timezone

from crm.models import EndedSignIn, User

# Longer than the last token of a sign-in can live.
ENDED_KEPT_FOR = timedelta(days=30)


def sign_in_new() -> str:
    """A name for one sign-in, which all of its tokens carry."""
    return str(uuid4())


def sign_in_user(*, user_id: str, sign_in: str) -> User | None:
    """The user, unless they are disabled or gone, or have ended this sign-in."""
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) < 19) or (name := _name(sign_in)) is None:
        return None
    ended = Exists(EndedSignIn.objects.filter(sign_in=name))
    return User.objects.filter(~ended, pk=int(user_id), is_active=True).first()


def sign_in_end(*, sign_in: str) -> None:
    """Its tokens open nothing any more."""
    if (name := _name(sign_in)) is not None:
        EndedSignIn.objects.bulk_create([EndedSignIn(sign_in=name, ended_at=timezone.now())], ignore_conflicts=True)


def sign_ins_purge() -> int:
    """Forget ended sign-ins of which no token can be left; answers how many."""
    return EndedSignIn.objects.filter(ended_at__lt=timezone.now() - ENDED_KEPT_FOR).delete()[0]


def _name(sign_in: str) -> UUID | None:
    try:
        return UUID(sign_in)
    except ValueError:
        return None
