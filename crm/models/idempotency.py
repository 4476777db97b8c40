"""Answers which table keeps the requests that must not happen twice. Touches the database alone."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.creators import Creator
from crm.models.ids import uuid7
from crm.models.users import User


class IdempotencyKey(models.Model):
    """A name that a caller gave to a request that must not happen twice, and what came of the request.

    `subject` is the id of the row that the request made, written in the transaction that made it. `status_code` and
    `body` (JSON) are the answer; without them the request is running until `claimed_until`, or its process died.
    """

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    claim = models.UUIDField(default=uuid7)
    claimed_until = models.DateTimeField()
    subject = models.CharField(max_length=64, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "creator", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=Q(status_code=None) | ~Q(subject=""), name="idempotency_answer_is_about_something"
            ),
        ]
        indexes = [models.Index("created_at", name="idempotency_key_by_age")]

    def __str__(self) -> str:
        return f"idempotency key {self.pk}"
