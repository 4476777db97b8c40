"""The parts of an answer that messages share: what a person decided, what reading back found, what can be done now.
Touches nothing."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from crm.models import MessageStatus
from messaging.models import TROUBLE_STATES, Decision, Delivery, ReadBack

SETTLEABLE_AS = serializers.ListField(child=serializers.ChoiceField(choices=Decision.choices))


class PersonSerializer(serializers.Serializer[Any]):
    """One of the creator's people."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class DecisionSerializer(serializers.Serializer[Any]):
    """What a person last decided about it; `by` is null where that was an operator, or the user was deleted."""

    outcome = serializers.ChoiceField(choices=Decision.choices)
    by = PersonSerializer(allow_null=True)
    at = serializers.DateTimeField()


class ReadBackSerializer(serializers.Serializer[Any]):
    """The last look into the fan's chat for a message in doubt.

    `notThere`: not among the `messagesRead` newest ones. `unclear`: one like it is there, which may be another's.
    `unreadable`: the chat could not be read; it is tried again.
    """

    result = serializers.ChoiceField(choices=ReadBack.choices)
    at = serializers.DateTimeField()
    messagesRead = serializers.IntegerField(allow_null=True)


def decision_shown(decision: str, by_id: int | None, by_name: str | None, at: datetime | None) -> dict[str, Any] | None:
    """As DecisionSerializer describes it; None where a person decided nothing."""
    if not decision:
        return None
    return {"outcome": decision, "by": None if by_id is None else {"id": by_id, "name": by_name}, "at": at}


def decision_of(delivery: Delivery) -> dict[str, Any] | None:
    """The same of a delivery whose `decided_by` is read already."""
    by = delivery.decided_by
    by_id, by_name = (by.pk, by.name) if by else (None, None)
    shown = decision_shown(delivery.decision, by_id, by_name, delivery.decided_at)
    return dict(DecisionSerializer(shown).data) if shown else None


def read_back_shown(found: str, at: datetime | None, count: int | None) -> dict[str, Any] | None:
    """As ReadBackSerializer describes it; None where the chat was not read."""
    return {"result": found, "at": at, "messagesRead": count} if found else None


def read_back_of(delivery: Delivery) -> dict[str, Any] | None:
    shown = read_back_shown(delivery.read_back_found, delivery.read_back_at, delivery.read_back_count)
    return dict(ReadBackSerializer(shown).data) if shown else None


def settleable_as(status: str, *, in_doubt: bool) -> list[str]:
    """What a person may say of a message in this state; `settle` takes these."""
    doubted = status == MessageStatus.UNKNOWN or (status == MessageStatus.DISMISSED and in_doubt)
    found = [Decision.ARRIVED.value] if doubted else []
    return [*found, Decision.DISMISSED.value] if status in TROUBLE_STATES else found
