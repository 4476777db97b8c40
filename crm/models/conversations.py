"""Answers which tables keep what creators and fans write to each other, and the texts that stand ready for it.
Touches the database alone."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from crm.models.creators import Creator
from crm.models.fans import Fan
from crm.models.ids import uuid7
from crm.models.users import User
from crm.payloads import PRICE_MAX_CENTS, PRICE_MIN_CENTS


class Conversation(models.Model):
    """The one thread between a creator and a fan.

    The inbox lists them by `personal`, then by `last_message_at`: when a fan or a person last wrote, whom a campaign
    neither moves up nor buries. One that is not personal comes after all those that are, by when a campaign's message
    was last sent. `last_message` is what the list shows: the newest of what was written and of what a campaign has
    sent.
    """

    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="conversations", db_index=False)
    fan = models.OneToOneField(Fan, on_delete=models.CASCADE, related_name="conversation")
    last_message = models.ForeignKey("Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    last_message_at = models.DateTimeField(db_default=Now())
    # Whether a fan or a person began it or has written in it; else campaigns alone have.
    personal = models.BooleanField(default=True, db_default=True)
    unread_count = models.PositiveIntegerField(default=0)
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(
                "creator",
                F("personal").desc(),
                F("last_message_at").desc(),
                F("id").desc(),
                name="conversation_in_order",
                condition=Q(archived=False),
            ),
            models.Index(
                "creator",
                F("personal").desc(),
                F("last_message_at").desc(),
                F("id").desc(),
                name="conversation_unread_in_order",
                condition=Q(archived=False, unread_count__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class Direction(models.TextChoices):
    IN = "in", gettext_lazy("From the fan")
    OUT = "out", gettext_lazy("To the fan")


class MessageStatus(models.TextChoices):
    """Where a message is. A message from a fan is always `received`; the others are outbound."""

    RECEIVED = "received", gettext_lazy("Received")
    PENDING = "pending", gettext_lazy("Pending")
    QUEUED = "queued", gettext_lazy("Queued")
    PARKED = "parked", gettext_lazy("Waiting for its time")
    SENDING = "sending", gettext_lazy("Sending")
    SENT = "sent", gettext_lazy("Sent")
    UNKNOWN = "unknown", gettext_lazy("Unknown")
    FAILED = "failed", gettext_lazy("Failed")
    CANCELLED = "cancelled", gettext_lazy("Cancelled")
    # A person took note of what failed or is in doubt, and leaves it at that.
    DISMISSED = "dismissed", gettext_lazy("Dismissed")
    BYPASSED = "bypassed", gettext_lazy("Not sent: sending is off")


OUTBOUND_STATUSES = tuple(status for status in MessageStatus if status is not MessageStatus.RECEIVED)


class Message(models.Model):
    """One message of a conversation. `attachments` is `[{"type": "media", "url": "https://… or a vendor media id"}]`.

    Of an outbound message, `status` is a copy of its Delivery's state, written in the same transaction by messaging.
    So is `campaign_id` of its campaign: the number of one of messaging's rows, None for what was written to this fan.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="messages")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False)
    # Who wrote it stays unknown when their account is deleted; the message stays.
    sender = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    direction = models.CharField(max_length=3, choices=Direction.choices)
    text = models.TextField(blank=True)
    price_cents = models.PositiveIntegerField(default=0)
    attachments = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=20, choices=MessageStatus.choices)
    read = models.BooleanField(default=False)
    platform_message_id = models.CharField(max_length=64, null=True, blank=True)
    campaign_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    # When it was taken back at the platform; the words stay here.
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["creator", "platform_message_id"], name="message_once_per_platform_id"),
            models.CheckConstraint(
                condition=Q(direction=Direction.IN, status=MessageStatus.RECEIVED)
                | Q(direction=Direction.OUT, status__in=OUTBOUND_STATUSES),
                name="message_status_fits_direction",
            ),
            models.CheckConstraint(
                condition=Q(direction=Direction.IN)
                | Q(price_cents=0)
                | Q(price_cents__gte=PRICE_MIN_CENTS, price_cents__lte=PRICE_MAX_CENTS),
                name="message_price_in_range",
            ),
        ]
        indexes = [
            models.Index("conversation", F("created_at").desc(), F("id").desc(), name="message_by_time"),
            # What one of a creator's people wrote, in the order of the ids.
            models.Index("sender", "creator", "id", name="message_by_sender", condition=Q(sender__isnull=False)),
            # What reading a conversation marks, however long the conversation is.
            models.Index("conversation", name="message_unread", condition=Q(direction=Direction.IN, read=False)),
            models.Index(
                "creator",
                F("created_at").desc(),
                name="message_in_trouble",
                condition=Q(status__in=[MessageStatus.FAILED, MessageStatus.UNKNOWN]),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class QuickReply(models.Model):
    """A text that a creator's people write often, found by its shortcut. Fields of the fan may stand in it."""

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="quick_replies")
    shortcut = models.CharField(max_length=30)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "quick replies"
        constraints = [
            models.UniqueConstraint(fields=["creator", "shortcut"], name="quick_reply_once"),
            models.CheckConstraint(
                condition=Q(shortcut__regex=r"^[a-z0-9-]{1,30}$"), name="quick_reply_shortcut_typed"
            ),
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"
