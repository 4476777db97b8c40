"""Answers whether a file that is uploaded twice under one Idempotency-Key is imported once."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from crm.idempotency import CLAIM_LASTS
from crm.models import Fan, IdempotencyKey
from crm.tests.factories import MembershipFactory
from onlyfans.models import ImportBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory().user)
    return client


def upload(client: APIClient, content: bytes, **fields: Any) -> Any:
    file = SimpleUploadedFile("fans.csv", content)
    return client.post(
        "/api/onlyfans/import/csv", {"file": file, **fields}, format="multipart", headers={"Idempotency-Key": "one"}
    )


def test_the_same_file_again_is_answered_the_same(client: APIClient) -> None:
    first, second = (upload(client, b"Username\nada\n") for _ in range(2))
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert second["Idempotent-Replayed"] == "true"
    assert (ImportBatch.objects.count(), Fan.objects.count()) == (1, 1)


@pytest.mark.parametrize(("content", "fields"), [(b"Username\nbob\n", {}), (b"Username\nada\n", {"dryRun": "true"})])
def test_another_file_or_another_wish_is_a_conflict(client: APIClient, content: bytes, fields: dict[str, str]) -> None:
    upload(client, b"Username\nada\n")
    assert upload(client, content, **fields).json()["code"] == "idempotency_key_reused"


def test_a_repeat_after_a_crash_names_the_import_that_was_made(client: APIClient) -> None:
    first = upload(client, b"Username\nada\n")
    for row in IdempotencyKey.objects.all():
        row.status_code, row.body, row.claimed_until = None, "", row.claimed_until - 2 * CLAIM_LASTS
        row.save()
    assert upload(client, b"Username\nada\n").json() == first.json()
    assert ImportBatch.objects.count() == 1


def test_a_file_that_cannot_be_read_leaves_the_key_free(client: APIClient) -> None:
    assert upload(client, b"").status_code == 422
    assert upload(client, b"Username\nada\n").status_code == 200
