"""Answers which tables the CRM keeps: users, creators, fans, conversations, messages, money.
Touches the database alone."""

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower, Now, NullIf
from django.utils.translation import gettext_lazy
from uuid_utils import compat as uuid_utils

from crm.payloads import PRICE_MAX_CENTS, PRICE_MIN_CENTS


def uuid7() -> uuid.UUID:
    """A time-ordered id (RFC 9562), so that the newest rows stand together in the index."""
    return uuid_utils.uuid7()


class UserManager(DjangoUserManager["User"]):
    """Users are known by their e-mail address alone; it is kept in lower case."""

    def _create(self, email: str, password: str | None, **extra: Any) -> "User":
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_user(  # type: ignore[override]  # Django's own signature asks for a user name first
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        return self._create(email, password, **{"is_staff": False, "is_superuser": False, **extra})

    def create_superuser(  # type: ignore[override]
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        return self._create(email, password, **{**extra, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractUser):
    """A person who signs in. What they reach is said by Membership alone."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=150, blank=True)
    # As a code of settings.LANGUAGES; empty where they never chose, so that the browser's language counts.
    language = models.CharField(max_length=10, blank=True, db_default="", editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            # Two accounts that differ only in case would be one person's mailbox.
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name


class SignIn(models.Model):
    """Where a user is signed in: in a browser, by its session, or a program, by the claim that its tokens carry."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True, null=True, blank=True)
    token_sign_in = models.UUIDField(unique=True, null=True, blank=True)
    # As the browser or program calls itself.
    agent = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(db_default=Now())
    # Of tokens, when they were last renewed.
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "sign-in"
        constraints = [
            models.CheckConstraint(
                condition=Q(session_key__isnull=True) ^ Q(token_sign_in__isnull=True), name="sign_in_is_one_of_two"
            ),
        ]
        indexes = [models.Index("seen_at", name="sign_in_by_age")]

    def __str__(self) -> str:
        return f"sign-in {self.pk}"


class EndedSignIn(models.Model):
    """A sign-in by token that its user ended: `sign_in` is the claim that all of its tokens carry."""

    sign_in = models.UUIDField(primary_key=True)
    ended_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index("ended_at", name="ended_sign_in_by_age")]

    def __str__(self) -> str:
        return f"ended sign-in {self.pk}"


class Platform(models.TextChoices):
    ONLYFANS = "onlyfans", "OnlyFans"


class Creator(models.Model):
    """One managed account on the platform; the tenant of every row."""

    name = models.CharField(max_length=100)
    platform = models.CharField(max_length=20, choices=Platform.choices, default=Platform.ONLYFANS)
    time_zone = models.CharField(max_length=64, default="UTC")
    members = models.ManyToManyField(User, through="Membership", related_name="creators")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(platform__in=Platform.values), name="creator_platform_known"),
            models.CheckConstraint(condition=~Q(name=""), name="creator_name_given"),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", gettext_lazy("Owner")
    MANAGER = "manager", gettext_lazy("Manager")
    CHATTER = "chatter", gettext_lazy("Chatter")
    ANALYST = "analyst", gettext_lazy("Analyst")


class Membership(models.Model):
    """A user reaches a creator through exactly one of these."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "creator"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} at {self.creator_id} as {self.role}"


# What fans are sorted by where NULL or an empty text cannot be: never seen counts as the longest ago, and the name is
# the one that a list shows.
FAN_SEEN_ORDER = Coalesce("last_seen_at", Value(datetime(1970, 1, 1, tzinfo=UTC)))
FAN_NAME_ORDER = Lower(Coalesce(NullIf("name", Value("")), NullIf("handle", Value("")), "platform_id"))


class Fan(models.Model):
    """A subscriber of one creator. `platform_id` is the handle in lower case until the numeric id is known.

    `version` is counted up by the database at every change, whoever makes it. A fan with `deleted_at` is hidden and can
    be restored for a while; one with `erased_at` is an empty row that messages without text hang on.
    """

    # A creator with fans cannot be deleted by a click: their history is the business.
    # Without an index of its own, as the other keys below that say so: those of the lists begin with it, and beside
    # them the planner takes the short one where it expects few rows, and sorts ten thousand (50 ms against 0.3 ms).
    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="fans", db_index=False)
    platform = models.CharField(max_length=20, choices=Platform.choices, default=Platform.ONLYFANS)
    platform_id = models.CharField(max_length=64)
    handle = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    avatar = models.URLField(max_length=1_000, blank=True)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    notes = models.TextField(blank=True)
    value_cents = models.BigIntegerField(default=0)
    # When the platform itself told the value: what was paid before is in it. Null where a file or a person gave it.
    value_as_of = models.DateTimeField(null=True, blank=True)
    # As the platform last said; null where it has said nothing.
    subscribed = models.BooleanField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    version = models.PositiveBigIntegerField(db_default=1, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["creator", "platform", "platform_id"], name="fan_once_per_creator"),
            models.CheckConstraint(condition=Q(platform__in=Platform.values), name="fan_platform_known"),
            models.CheckConstraint(condition=~Q(platform_id=""), name="fan_platform_id_given"),
            models.CheckConstraint(condition=Q(value_cents__gte=0), name="fan_value_not_negative"),
            models.CheckConstraint(
                condition=Q(erased_at=None) | Q(deleted_at__isnull=False, name="", handle="", email="", notes=""),
                name="fan_erased_is_empty",
            ),
        ]
        indexes = [
            # Without the deleted and with last seen, so that an overview counts twenty thousand fans in a millisecond,
            # without reading their rows.
            models.Index(
                "creator",
                F("value_cents").desc(),
                F("id").desc(),
                name="fan_present_by_value",
                condition=Q(deleted_at=None),
                include=["last_seen_at"],
            ),
            models.Index("creator", F("last_seen_at").desc(nulls_last=True), name="fan_by_last_seen"),
            models.Index("creator", Lower("handle"), name="fan_by_handle"),
            models.Index("creator", FAN_SEEN_ORDER.desc(), F("id").desc(), name="fan_by_seen_order"),
            models.Index("creator", FAN_NAME_ORDER, F("id"), name="fan_by_name_order"),
            models.Index("creator", F("created_at").desc(), F("id").desc(), name="fan_by_created"),
            # Those who can be restored, and those whose time to be erased has come.
            models.Index(
                "deleted_at", name="fan_deleted", condition=Q(deleted_at__isnull=False, erased_at__isnull=True)
            ),
            GinIndex(fields=["tags"], name="fan_by_tag"),
            GinIndex(fields=["name", "handle"], name="fan_search", opclasses=["gin_trgm_ops", "gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.name or self.handle or self.platform_id


class FanBatch(models.Model):
    """What one bulk write of fans made: their ids, as ranges from `first_ids[i]` to `last_ids[i]`."""

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="fan_batches")
    first_ids = ArrayField(models.BigIntegerField(), default=list)
    last_ids = ArrayField(models.BigIntegerField(), default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "fan batches"

    def __str__(self) -> str:
        return f"batch {self.pk} of {self.creator_id}"


class FanBefore(models.Model):
    """What a fan was before a batch changed it at `written_at`: `{column: value}`. It goes with the fan."""

    pk = models.CompositePrimaryKey("batch_id", "fan_id")
    # Written by the hundred thousand in one statement; a check of each row would cost as much as the row.
    batch = models.ForeignKey(FanBatch, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    fan = models.ForeignKey(Fan, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    before = models.JSONField()
    written_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"fan {self.fan_id} before batch {self.batch_id}"


class Conversation(models.Model):
    """The one thread between a creator and a fan."""

    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="conversations", db_index=False)
    fan = models.OneToOneField(Fan, on_delete=models.CASCADE, related_name="conversation")
    last_message = models.ForeignKey("Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    last_message_at = models.DateTimeField(db_default=Now())
    unread_count = models.PositiveIntegerField(default=0)
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(
                "creator",
                F("last_message_at").desc(),
                F("id").desc(),
                name="conversation_by_last",
                condition=Q(archived=False),
            ),
            models.Index(
                "creator",
                F("last_message_at").desc(),
                F("id").desc(),
                name="conversation_unread",
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
    BYPASSED = "bypassed", gettext_lazy("Not sent: sending is off")


OUTBOUND_STATUSES = tuple(status for status in MessageStatus if status is not MessageStatus.RECEIVED)


class Message(models.Model):
    """One message of a conversation. `attachments` is `[{"type": "media", "url": "https://… or a vendor media id"}]`.

    Of an outbound message, `status` is a copy of its Delivery's state, written in the same transaction by messaging.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="messages")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False)
    # Who wrote it stays unknown when their account is deleted; the message stays.
    sender = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    direction = models.CharField(max_length=3, choices=Direction.choices)
    text = models.TextField(blank=True)
    price_cents = models.PositiveIntegerField(default=0)
    attachments = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=20, choices=MessageStatus.choices)
    read = models.BooleanField(default=False)
    platform_message_id = models.CharField(max_length=64, null=True, blank=True)
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
        constraints = [
            models.UniqueConstraint(fields=["creator", "shortcut"], name="quick_reply_once"),
            models.CheckConstraint(
                condition=Q(shortcut__regex=r"^[a-z0-9-]{1,30}$"), name="quick_reply_shortcut_typed"
            ),
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


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


class TransactionKind(models.TextChoices):
    SUBSCRIPTION = "subscription", gettext_lazy("Subscription")
    RECURRING = "recurring", gettext_lazy("Recurring subscription")
    TIP = "tip", gettext_lazy("Tip")
    MESSAGE = "message", gettext_lazy("Message")
    POST = "post", gettext_lazy("Post")
    STREAM = "stream", gettext_lazy("Stream")
    OTHER = "other", gettext_lazy("Other")


class TransactionStatus(models.TextChoices):
    """As the platform calls them. Money counts as earned while it is loading or done."""

    LOADING = "loading", gettext_lazy("On its way")
    DONE = "done", gettext_lazy("Done")
    UNDO = "undo", gettext_lazy("Taken back")
    PENDING_RETURN = "pending_return", gettext_lazy("Being returned")


class TransactionSource(models.TextChoices):
    """Who told of a transaction; crm/transaction_services.py says whose figures count."""

    LEDGER = "ledger", gettext_lazy("The platform's list")
    EVENT = "event", gettext_lazy("The platform's event of a transaction")
    NOTICE = "notice", gettext_lazy("A notification of a tip or a purchase")
    FILE = "file", gettext_lazy("A file")


class Transaction(models.Model):
    """Money that a fan paid, counted once however many sources tell of it. All amounts in cents of `currency`.

    `gross_cents` is what the creator's price was, of which the platform keeps `fee_cents` and the creator gets
    `net_cents`; `vat_cents` comes on top. A row carries at most one key of each source: the platform's own id (of its
    list, or of a file that has it), the id in the platform's event, the id of a notification, the place in a file.
    `source` is the best source so far, whose figures these are.
    """

    creator = models.ForeignKey(Creator, on_delete=models.PROTECT, related_name="transactions")
    fan = models.ForeignKey(Fan, on_delete=models.SET_NULL, null=True, blank=True, related_name="transactions")
    # Who paid, in the source's words: all there is to know where the fan is not stored here.
    fan_name = models.CharField(max_length=200, blank=True)
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="transactions")
    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    status = models.CharField(max_length=20, choices=TransactionStatus.choices, default=TransactionStatus.DONE)
    gross_cents = models.BigIntegerField()
    fee_cents = models.BigIntegerField(default=0)
    net_cents = models.BigIntegerField()
    vat_cents = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, default="USD")
    occurred_at = models.DateTimeField()
    source = models.CharField(max_length=10, choices=TransactionSource.choices)
    platform_transaction_id = models.CharField(max_length=64, null=True, blank=True)
    event_id = models.CharField(max_length=64, null=True, blank=True)
    notice_id = models.CharField(max_length=64, null=True, blank=True)
    file_key = models.CharField(max_length=64, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["creator", "platform_transaction_id"], name="transaction_once_in_ledger"),
            models.UniqueConstraint(fields=["creator", "event_id"], name="transaction_once_per_event"),
            models.UniqueConstraint(fields=["creator", "notice_id"], name="transaction_once_per_notice"),
            models.UniqueConstraint(fields=["creator", "file_key"], name="transaction_once_per_file_row"),
            models.CheckConstraint(condition=Q(kind__in=TransactionKind.values), name="transaction_kind_known"),
            models.CheckConstraint(condition=Q(status__in=TransactionStatus.values), name="transaction_status_known"),
            models.CheckConstraint(condition=Q(source__in=TransactionSource.values), name="transaction_source_known"),
            # Money that is taken back is a status, not a negative amount.
            models.CheckConstraint(
                condition=Q(gross_cents__gte=0, fee_cents__gte=0, vat_cents__gte=0, net_cents__gte=0)
                & Q(net_cents__lte=F("gross_cents")),
                name="transaction_amounts_in_range",
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="transaction_currency_code"),
            models.CheckConstraint(
                condition=Q(platform_transaction_id__isnull=False)
                | Q(event_id__isnull=False)
                | Q(notice_id__isnull=False)
                | Q(file_key__isnull=False),
                name="transaction_has_key",
            ),
        ]
        indexes = [
            models.Index("creator", F("occurred_at").desc(), F("id").desc(), name="transaction_by_time"),
            models.Index("fan", F("occurred_at").desc(), name="transaction_by_fan", condition=Q(fan__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"transaction {self.pk}"


def audit_indexes(name: str) -> list[models.Index]:
    """Of a creator's changes in their order, of what a row was before, and of those to be forgotten."""
    return [
        models.Index("creator", F("pgh_created_at").desc(), F("pgh_id").desc(), name=f"{name}_event_by_time"),
        models.Index("id", "pgh_id", name=f"{name}_event_by_row"),
        models.Index("pgh_created_at", name=f"{name}_event_by_age"),
    ]


def audit_model(model: type[models.Model], *trackers: pghistory.Tracker, fields: list[str]) -> type[models.Model]:
    """Of rows that outlive what they are about, each with who acted (crm/acting.py) beside it."""
    made: type[models.Model] = pghistory.create_event_model(
        model,
        *trackers,
        fields=fields,
        # None is the documented way to leave them out.
        obj_field=None,  # type: ignore[arg-type]
        context_id_field=None,  # type: ignore[arg-type]
    )
    return made


# Changes as the database itself writes them down, whoever makes them: a change is two rows, what was and what is.
# What people decided about a fan: not what the platform and files say of hundreds of thousands at a time.
_FAN_KEPT = ("name", "email", "tags", "notes", "deleted_at", "erased_at")
_FAN_CHANGED = pgtrigger.Condition(
    "(({old}) IS DISTINCT FROM ({new}) AND COALESCE(current_setting('huntaze.bulk', true), '') = '')".format(
        old=", ".join(f'OLD."{name}"' for name in _FAN_KEPT), new=", ".join(f'NEW."{name}"' for name in _FAN_KEPT)
    )
)


class FanEvent(
    audit_model(  # type: ignore[misc]  # a class that is made here
        Fan,
        pghistory.UpdateEvent("before", row=pghistory.Old, condition=_FAN_CHANGED),
        pghistory.UpdateEvent("changed", condition=_FAN_CHANGED),
        fields=["id", "creator", *_FAN_KEPT],
    )
):
    """What somebody changed of a fan; the words go when the fan is erased."""

    class Meta:
        indexes = audit_indexes("fan")

    def __str__(self) -> str:
        return f"{self.pgh_label} fan {self.id}"


class MembershipEvent(
    audit_model(  # type: ignore[misc]
        Membership,
        pghistory.InsertEvent("added"),
        pghistory.UpdateEvent("before", row=pghistory.Old),
        pghistory.UpdateEvent("changed"),
        pghistory.DeleteEvent("removed"),
        fields=["id", "creator", "user", "role"],
    )
):
    """Who came to work for a creator, got another role or left."""

    class Meta:
        indexes = audit_indexes("membership")

    def __str__(self) -> str:
        return f"{self.pgh_label} membership {self.id}"
