"""Answers whether what a key stands for happens once, whoever dies or comes at the same time."""

from datetime import timedelta

import pytest
from django.db import transaction

from crm import idempotency
from crm.errors import Conflict
from crm.idempotency import Answer, Claim
from crm.models import Creator, IdempotencyKey, Membership, User
from crm.tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
DONE = Answer(status_code=202, body='{"id": 1}')


@pytest.fixture
def membership() -> Membership:
    return MembershipFactory()


def claim(membership: Membership, *, key: str = "k", request_hash: str = "h") -> Claim | Answer:
    return idempotency.key_claim(creator=membership.creator, user=membership.user, key=key, request_hash=request_hash)


def claimed(membership: Membership) -> Claim:
    found = claim(membership)
    assert isinstance(found, Claim)
    return found


def age(by: timedelta) -> None:
    for row in IdempotencyKey.objects.all():
        row.created_at, row.claimed_until = row.created_at - by, row.claimed_until - by
        row.save()


def test_the_first_may_and_the_second_gets_its_answer(membership: Membership) -> None:
    first = claimed(membership)
    idempotency.key_bind(first, subject="1")
    assert idempotency.key_answer(first, DONE)
    assert claim(membership) == DONE


def test_a_key_belongs_to_one_user_at_one_creator(membership: Membership) -> None:
    claimed(membership)
    others = [MembershipFactory(creator=membership.creator), MembershipFactory(user=membership.user)]
    assert all(isinstance(claim(other), Claim) for other in others)


def test_another_request_under_the_key_is_refused(membership: Membership) -> None:
    claimed(membership)
    with pytest.raises(Conflict) as caught:
        claim(membership, request_hash="other")
    assert caught.value.code == "idempotency_key_reused"


def test_while_the_first_is_running_the_second_is_told_to_wait(membership: Membership) -> None:
    claimed(membership)
    with pytest.raises(Conflict) as caught:
        claim(membership)
    assert (caught.value.code, caught.value.retry_after) == ("idempotency_key_in_progress", 2)


def test_what_made_nothing_leaves_its_key_free_for_another_request(membership: Membership) -> None:
    first = claimed(membership)
    assert not idempotency.key_answer(first, DONE)
    idempotency.key_release(first)
    assert isinstance(claim(membership, request_hash="other"), Claim)


def test_what_was_made_keeps_its_key(membership: Membership) -> None:
    first = claimed(membership)
    idempotency.key_bind(first, subject="1")
    idempotency.key_release(first)
    assert IdempotencyKey.objects.get().subject == "1"


def test_a_claim_whose_process_died_before_the_work_passes_on(membership: Membership) -> None:
    first = claimed(membership)
    age(idempotency.CLAIM_LASTS)
    second = claimed(membership)
    assert second.subject == ""
    # Who was only slow makes nothing any more.
    with pytest.raises(Conflict), transaction.atomic():
        idempotency.key_bind(first, subject="1")
    idempotency.key_bind(second, subject="2")


def test_a_claim_whose_process_died_after_the_work_names_what_was_made(membership: Membership) -> None:
    first = claimed(membership)
    idempotency.key_bind(first, subject="1")
    age(idempotency.CLAIM_LASTS)
    second = claimed(membership)
    assert second.subject == "1"
    with pytest.raises(Conflict):
        idempotency.key_bind(second, subject="2")


def test_work_that_is_rolled_back_is_not_bound(membership: Membership) -> None:
    first = claimed(membership)
    with transaction.atomic():
        idempotency.key_bind(first, subject="1")
        transaction.set_rollback(True)
    assert not idempotency.key_answer(first, DONE)


def test_after_a_day_the_key_is_new(membership: Membership) -> None:
    first = claimed(membership)
    idempotency.key_bind(first, subject="1")
    idempotency.key_answer(first, DONE)
    age(timedelta(hours=23, minutes=59))
    assert claim(membership) == DONE
    age(timedelta(minutes=1))
    assert isinstance(claim(membership, request_hash="other"), Claim)


def test_the_purge_takes_what_is_older_than_a_day(membership: Membership) -> None:
    claim(membership, key="old")
    age(idempotency.KEPT_FOR)
    claim(membership, key="new")
    assert idempotency.keys_purge() == 1
    assert IdempotencyKey.objects.get().key == "new"


def test_a_forgotten_answer_keeps_no_text_and_makes_nothing_again(membership: Membership) -> None:
    first = claimed(membership)
    idempotency.key_bind(first, subject="1")
    idempotency.key_answer(first, DONE)
    assert idempotency.keys_forget(subjects=["1"]) == 1
    assert claimed(membership).subject == "1"


def test_keys_go_with_their_user_and_their_creator(membership: Membership) -> None:
    claim(membership)
    User.objects.filter(pk=membership.user_id).delete()
    claim(MembershipFactory(creator=membership.creator))
    Creator.objects.filter(pk=membership.creator_id).delete()
    assert not IdempotencyKey.objects.exists()
