"""Answers what is on its way, what is stuck and how sending goes, from a creator's side. Only reads tables."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crm.errors import NotFound
from crm.models import Conversation, Creator, Message, MessageStatus
from messaging.models import OPEN_STATES, Delivery, Kind, SendingProfile

TROUBLE = (MessageStatus.FAILED, MessageStatus.UNKNOWN)


def delivery_in_trouble_list(*, creator: Creator) -> QuerySet[Delivery]:
    """Failed and unknown messages with fan, unordered: a paginator orders them."""
    return Delivery.objects.filter(creator=creator, state__in=TROUBLE).select_related("message", "fan")


def delivery_get(*, creator: Creator, message_id: UUID) -> Delivery:
    delivery = (
        Delivery.objects.filter(creator=creator, pk=message_id).select_related("message__conversation", "fan").first()
    )
    if delivery is None:
        raise NotFound("There is no such message.", code="message_not_found")
    return delivery


def thread_list(*, conversation: Conversation) -> QuerySet[Message]:
    """The messages of a conversation with their deliveries, unordered: a paginator orders them."""
    return Message.objects.filter(conversation=conversation).select_related("delivery")


def delivery_for_dispatch(*, message_id: UUID) -> Delivery | None:
    """All that the consumer needs of one message, in one query; of any creator, since the queue is shared.

    `quiet` is how long ago the creator last claimed a send, by the database's clock; None for never.
    """
    return (
        Delivery.objects.filter(pk=message_id)
        .annotate(quiet=Now() - F("creator__sending_profile__last_claimed_at"))
        .select_related("message", "fan", "creator__sending_profile")
        .first()
    )


def earlier_open(*, delivery: Delivery) -> datetime | None:
    """When the message that goes first is due: an earlier one to the same fan that is still on its way.

    A reply waits for replies alone: a campaign may have hours to go.
    """
    kinds = (Kind.REPLY,) if delivery.kind == Kind.REPLY else Kind.values
    return (
        Delivery.objects.filter(fan_id=delivery.fan_id, pk__lt=delivery.pk, state__in=OPEN_STATES, kind__in=kinds)
        .filter(Q(scheduled_at=None) | Q(scheduled_at__lte=Now()))
        .order_by("pk")
        .values_list("due_at", flat=True)
        .first()
    )


def sending_profile(*, creator: Creator) -> SendingProfile | None:
    return SendingProfile.objects.filter(creator=creator).first()


@dataclass(frozen=True, slots=True)
class SendingToday:
    """Counts since midnight in the creator's time zone. `failure_rate` is failed ÷ (sent + failed), 0 with none."""

    queued: int
    processed: int
    failure_rate: float
    last_processed_at: datetime | None


def sending_today(*, creator: Creator) -> SendingToday:
    midnight = timezone.now().astimezone(ZoneInfo(creator.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    deliveries = Delivery.objects.filter(creator=creator)
    row = deliveries.filter(Q(queued_at__gte=midnight) | Q(finished_at__gte=midnight)).aggregate(
        queued=Count("pk", filter=Q(queued_at__gte=midnight)),
        sent=Count("pk", filter=Q(finished_at__gte=midnight, state=MessageStatus.SENT)),
        failed=Count("pk", filter=Q(finished_at__gte=midnight, state__in=TROUBLE)),
    )
    ended = row["sent"] + row["failed"]
    return SendingToday(
        queued=row["queued"],
        processed=row["sent"],
        failure_rate=round(row["failed"] / ended, 4) if ended else 0.0,
        last_processed_at=deliveries.filter(state=MessageStatus.SENT).aggregate(at=Max("finished_at"))["at"],
    )
