"""Answers whether a request was made before, and what came of it. The only writer of idempotency keys.

A key is claimed before the work, bound to the row that the work makes in the transaction that makes it, and answered
after. So a process that dies leaves nothing made and a claim that ends, or one row that the key names.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import Conflict
from crm.models import Creator, IdempotencyKey, User, uuid7

KEPT_FOR = timedelta(hours=24)
# A request that takes longer is taken for dead, and loses its right to write to whoever repeats it.
CLAIM_LASTS = timedelta(minutes=2)
RETRY_AFTER_SECONDS = 2
PURGE_BATCH = 5_000
# The answer to a request whose row is stored and whose work is not done: a repeat goes on with it.
UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the HTTP status, and the body as JSON ("" where it had to be forgotten)."""

    status_code: int
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do what a key stands for. With a `subject` its row is made already and only the answer is missing.

    resumed: the answer was that something outside did not take the row, so it is tried once more.
    """

    key_id: int
    token: UUID
    subject: str = ""
    resumed: bool = False


def key_claim(*, creator: Creator, user: User, key: str, request_hash: str) -> Claim | Answer:
    """The right to do it, or what was answered when it was done.

    A request that was answered with 503 is not done: the first repeat of it gets the right to go on with its row.

    Raises Conflict: `idempotency_key_reused` for a key that stands for another request, and
    `idempotency_key_in_progress`, with the time to wait, while the first one is running.
    """
    now = timezone.now()
    token = uuid7()
    fresh: dict[str, Any] = {
        "request_hash": request_hash,
        "claim": token,
        "claimed_until": now + CLAIM_LASTS,
        "subject": "",
        "status_code": None,
        "body": "",
        "created_at": now,
    }
    # In this order nobody can come between: the row is there when it is read, whoever made it.
    IdempotencyKey.objects.bulk_create(
        [IdempotencyKey(creator=creator, user=user, key=key, **fresh)], ignore_conflicts=True
    )
    row = IdempotencyKey.objects.filter(creator=creator, user=user, key=key).first()
    if row is None:  # let go of since
        raise _in_progress()
    if row.claim == token:
        return Claim(key_id=row.pk, token=token)
    if row.created_at <= now - KEPT_FOR:
        return _take(row, fresh)
    if row.request_hash != request_hash:
        raise Conflict(
            gettext("This Idempotency-Key was used for another request. Use a new key for each request."),
            code="idempotency_key_reused",
        )
    again = {"claim": token, "claimed_until": now + CLAIM_LASTS, "subject": row.subject}
    if row.status_code == UNAVAILABLE:
        return _take(row, again | {"status_code": None, "body": ""}, resumed=True)
    if row.status_code is not None and row.body:
        return Answer(status_code=row.status_code, body=row.body)
    if row.status_code is None and row.claimed_until > now:
        raise _in_progress()
    return _take(row, again)


def _take(row: IdempotencyKey, values: dict[str, Any], *, resumed: bool = False) -> Claim:
    """Put a claim in the place of one that has ended, unless somebody else just did."""
    same = IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim, subject=row.subject)
    if not same.update(**values):
        raise _in_progress()
    return Claim(key_id=row.pk, token=values["claim"], subject=values["subject"], resumed=resumed)


def _in_progress() -> Conflict:
    return Conflict(
        gettext("A request with this Idempotency-Key is still running. Ask again in a moment."),
        code="idempotency_key_in_progress",
        retry_after=RETRY_AFTER_SECONDS,
    )


def key_bind(claim: Claim, *, subject: str) -> None:
    """Say what row was made; called in the transaction that makes it.

    Raises Conflict, so that the transaction is rolled back, where the claim has ended and somebody else has it.
    """
    if not IdempotencyKey.objects.filter(pk=claim.key_id, claim=claim.token, subject="").update(subject=subject):
        raise _in_progress()


def key_answer(claim: Claim, answer: Answer) -> bool:
    """Keep the answer to a request that made something; False where nothing was made."""
    bound = IdempotencyKey.objects.filter(pk=claim.key_id, claim=claim.token).exclude(subject="")
    return bool(bound.update(status_code=answer.status_code, body=answer.body))


def key_release(claim: Claim) -> None:
    """Nothing was made, so the key is free: the same request may be tried again, or a mended one."""
    IdempotencyKey.objects.filter(pk=claim.key_id, claim=claim.token, subject="").delete()


def keys_forget(*, subjects: Collection[str]) -> int:
    """Forget what was answered about these rows (because a person is erased); nothing is made again for it."""
    return IdempotencyKey.objects.filter(subject__in=subjects).update(body="")


def keys_purge() -> int:
    """Delete a batch of the keys whose day is over; answers how many."""
    old = IdempotencyKey.objects.filter(created_at__lte=timezone.now() - KEPT_FOR)
    return IdempotencyKey.objects.filter(pk__in=old.values("pk")[:PURGE_BATCH]).delete()[0]
