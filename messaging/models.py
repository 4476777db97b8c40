"""Answers which tables sending keeps: limits, campaigns, one delivery per outbound message. Touches nothing else."""

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from crm.models import Creator, Message, MessageStatus, audit_indexes, audit_model, search_index, uuid7


def limit_default() -> int:
    return settings.RATE_LIMIT_MESSAGES


def window_default() -> int:
    return round(settings.RATE_LIMIT_WINDOW_SECONDS * 1_000)


def min_gap_default() -> int:
    return round(settings.RATE_LIMIT_MIN_GAP_SECONDS * 1_000)


class SendingProfile(models.Model):
    """How fast one creator may send, and whether sending is paused. Locked while a slot is reserved.

    `reply_slots` are the last slots handed out to replies, oldest first; a campaign's are when its deliveries are due.
    `reply_hop_slots` and `campaign_hop_slots` are the last of messages that lost their first one.
    """

    creator = models.OneToOneField(Creator, on_delete=models.CASCADE, primary_key=True, related_name="sending_profile")
    limit_messages = models.PositiveIntegerField(default=limit_default)
    window_ms = models.PositiveIntegerField(default=window_default)
    min_gap_ms = models.PositiveIntegerField(default=min_gap_default)
    reply_slots = ArrayField(models.DateTimeField(), default=list, blank=True)
    reply_hop_slots = ArrayField(models.DateTimeField(), default=list, blank=True)
    campaign_hop_slots = ArrayField(models.DateTimeField(), default=list, blank=True)
    # When SQS last did not take a message that somebody waited for: only then may a send be a repeat of such a one.
    queue_refused_at = models.DateTimeField(null=True, blank=True)
    # When a message was last claimed for sending; tells an empty Redis from a creator who has not sent lately.
    last_claimed_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    # What paused it, for whoever may end that pause; empty where a person did.
    paused_code = models.CharField(max_length=50, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(limit_messages__gte=1), name="sending_limit_positive"),
            models.CheckConstraint(condition=Q(window_ms__gte=100), name="sending_window_positive"),
        ]

    def __str__(self) -> str:
        return f"sending of creator {self.pk}"


class CampaignStatus(models.TextChoices):
    """How a campaign is getting on. Scheduled and finished follow from its time and its rows, and are not stored."""

    SCHEDULED = "scheduled", gettext_lazy("Scheduled")
    RUNNING = "running", gettext_lazy("Running")
    PAUSED = "paused", gettext_lazy("Paused")
    CANCELLED = "cancelled", gettext_lazy("Cancelled")
    FINISHED = "finished", gettext_lazy("Finished")


# What somebody decided; messaging.campaign_reports.campaign_report_list says the rest.
STORED_CAMPAIGN_STATUSES = (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.CANCELLED)


class Campaign(models.Model):
    """One text to many fans. `audience` keeps who was asked for; the deliveries are who it went to."""

    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="campaigns")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=200)
    content = models.TextField()
    attachments = models.JSONField(default=list, blank=True)
    price_cents = models.PositiveIntegerField(default=0)
    audience = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=20, choices=CampaignStatus.choices, default=CampaignStatus.RUNNING)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=STORED_CAMPAIGN_STATUSES), name="campaign_status_known"),
        ]
        indexes = [
            models.Index("creator", F("created_at").desc(), name="campaign_by_time"),
            search_index("campaign_search", "name"),
        ]

    def __str__(self) -> str:
        return self.name


class CampaignEvent(
    audit_model(  # type: ignore[misc]  # a class that is made here
        Campaign,
        pghistory.InsertEvent("added"),
        pghistory.UpdateEvent("before", row=pghistory.Old),
        pghistory.UpdateEvent("changed"),
        pghistory.DeleteEvent("removed"),
        fields=["id", "creator", "name", "status", "price_cents", "scheduled_at"],
    )
):
    """Who started, paused, resumed or cancelled a campaign. Its text is not kept here."""

    class Meta:
        indexes = audit_indexes("campaign")

    def __str__(self) -> str:
        return f"{self.pgh_label} campaign {self.id}"


class Kind(models.TextChoices):
    REPLY = "reply", gettext_lazy("Reply")
    CAMPAIGN = "campaign", gettext_lazy("Campaign")


class Stage(models.TextChoices):
    """How far a message that failed had come."""

    ENQUEUE = "enqueue", gettext_lazy("Putting it on the queue")
    SEND = "send", gettext_lazy("Sending it")


class Decision(models.TextChoices):
    """What a person last decided about a message that was stored."""

    CANCELLED = "cancelled", gettext_lazy("Cancelled")
    ARRIVED = "arrived", gettext_lazy("It arrived")
    RESENT = "resent", gettext_lazy("Sent again")
    DISMISSED = "dismissed", gettext_lazy("Dismissed")


class ReadBack(models.TextChoices):
    """What the last look into a fan's chat, for a message in doubt, came to."""

    NOT_THERE = "notThere", gettext_lazy("Not in the chat")
    UNCLEAR = "unclear", gettext_lazy("A message like it is in the chat")
    UNREADABLE = "unreadable", gettext_lazy("The chat could not be read")


TROUBLE_STATES = (MessageStatus.FAILED, MessageStatus.UNKNOWN)
# Those that a person may send again.
RETRYABLE_STATES = (*TROUBLE_STATES, MessageStatus.DISMISSED)
# Those that have yet to go out, paused and scheduled ones too.
UNSENT_STATES = (MessageStatus.PENDING, MessageStatus.QUEUED, MessageStatus.PARKED)
OPEN_STATES = (*UNSENT_STATES, MessageStatus.SENDING)
# Those that are not over, or not to anybody's content.
UNSETTLED_STATES = (*OPEN_STATES, *TROUBLE_STATES)
# Those that a later message to the same fan may have to wait for.
ORDERED_STATES = (*OPEN_STATES, MessageStatus.UNKNOWN)


class Delivery(models.Model):
    """How one outbound message is going out. `state` changes by conditional UPDATE in messaging/transitions.py alone.

    `dispatch_id` names the only copy on the queue that counts; a copy with another one is stale.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="delivery")
    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    fan = models.ForeignKey("crm.Fan", on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    campaign = models.ForeignKey(
        Campaign, on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.REPLY)
    priority = models.PositiveSmallIntegerField(default=5)
    state = models.CharField(max_length=20, choices=MessageStatus.choices, default=MessageStatus.PENDING)
    dispatch_id = models.UUIDField(default=uuid7)
    # The slot: when the message may go out.
    due_at = models.DateTimeField()
    # The time somebody asked for; until then it does not stand before later messages to the same fan.
    scheduled_at = models.DateTimeField(null=True, blank=True)
    # Sends that were begun and ended without a certain answer; waiting for the limit is no attempt.
    attempts = models.PositiveIntegerField(default=0)
    hops = models.PositiveIntegerField(default=0)
    # Dispatches that SQS gave up because no worker came to an end with them; none of these had begun a send.
    given_up_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    first_attempt_at = models.DateTimeField(null=True, blank=True)
    # Of an unknown outcome: whether the same key sent again cannot double it (messaging.gateways.Unknown).
    repeatable = models.BooleanField(default=False)
    # Proven refusals so far: each begins a new idempotency key, because a platform may repeat what it refused.
    key_generation = models.PositiveIntegerField(default=0, db_default=0)
    # Something may have gone out under this key, so that no attempt may ever be made under another one.
    key_in_doubt = models.BooleanField(default=False, db_default=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    # Of an unknown outcome: when the chat was last read to see whether the message is there.
    read_back_at = models.DateTimeField(null=True, blank=True)
    # What that came to, and how many messages of the chat were looked at; empty while a look is running.
    read_back_found = models.CharField(max_length=10, choices=ReadBack.choices, blank=True, default="", db_default="")
    read_back_count = models.PositiveIntegerField(null=True, blank=True)
    stage = models.CharField(max_length=10, choices=Stage.choices, blank=True)
    reason_code = models.CharField(max_length=50, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    decision = models.CharField(max_length=10, choices=Decision.choices, blank=True, default="", db_default="")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    trace_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    queued_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    state_changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[s for s in MessageStatus if s is not MessageStatus.RECEIVED]),
                name="delivery_state_known",
            ),
            models.CheckConstraint(condition=Q(priority__gte=1, priority__lte=10), name="delivery_priority_in_range"),
            models.CheckConstraint(
                condition=~Q(state=MessageStatus.SENDING) | Q(lease_expires_at__isnull=False),
                name="delivery_sending_has_lease",
            ),
        ]
        indexes = [
            # What the sweeper looks through and an operator counts: only what is still open or in trouble.
            models.Index("state", "due_at", name="delivery_unsettled", condition=Q(state__in=[*UNSETTLED_STATES])),
            # The same of one creator, whose pages ask every few seconds.
            models.Index(
                "creator",
                "due_at",
                name="delivery_unsettled_by_creator",
                condition=Q(state__in=[*UNSETTLED_STATES]),
            ),
            # "Does an earlier message to this fan still wait?"
            models.Index("fan", "message", name="delivery_open_by_fan", condition=Q(state__in=ORDERED_STATES)),
            models.Index("creator", F("finished_at").desc(), name="delivery_by_finish"),
            # A campaign's progress and its last slot; then its ledger, page by page.
            models.Index(
                "campaign", "state", "due_at", name="delivery_by_campaign", condition=Q(campaign__isnull=False)
            ),
            models.Index("campaign", "message", name="delivery_in_ledger", condition=Q(campaign__isnull=False)),
            # The lists of messages (messaging/message_selectors.py): all of a creator, all to a fan.
            models.Index("creator", "kind", "state", "message", name="delivery_in_list"),
            models.Index("fan", "message", name="delivery_by_fan"),
            # Of a user who is deleted.
            models.Index("decided_by", name="delivery_by_decider", condition=Q(decided_by__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def held(self) -> MessageStatus | None:
        """The state that it belongs in while it may not go out; None while it may.

        Parked while its creator or its campaign is paused; cancelled where the fan was deleted, or the campaign
        cancelled, while this one was out of reach (being sent, say, and then refused).
        """
        if self.fan.deleted_at is not None:
            return MessageStatus.CANCELLED
        if self.campaign is not None and self.campaign.status == CampaignStatus.CANCELLED:
            return MessageStatus.CANCELLED
        if self.creator.sending_profile.paused_at is not None:
            return MessageStatus.PARKED
        if self.campaign is not None and self.campaign.status == CampaignStatus.PAUSED:
            return MessageStatus.PARKED
        return None
