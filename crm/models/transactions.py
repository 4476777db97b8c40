"""Answers which table keeps the money that fans paid. Touches the database alone."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from crm.models.conversations import Message
from crm.models.creators import Creator
from crm.models.fans import Fan


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
    # The row of a file with negative amounts that took this payment back.
    taken_back_key = models.CharField(max_length=64, null=True, blank=True)
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


class TransactionBatch(models.Model):
    """What one file of transactions made: their ids, as ranges from `first_ids[i]` to `last_ids[i]`.

    All that it wrote has `written_at` as its `updated_at`.
    """

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="transaction_batches")
    first_ids = ArrayField(models.BigIntegerField(), default=list)
    last_ids = ArrayField(models.BigIntegerField(), default=list)
    written_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "transaction batches"

    def __str__(self) -> str:
        return f"batch {self.pk} of {self.creator_id}"


class TransactionBefore(models.Model):
    """What a transaction was before a batch changed it: `{column: value}`, null if a batch made it that was undone."""

    pk = models.CompositePrimaryKey("batch_id", "transaction_id")
    batch = models.ForeignKey(
        TransactionBatch, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    transaction = models.ForeignKey(Transaction, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    before = models.JSONField(null=True)

    def __str__(self) -> str:
        return f"transaction {self.transaction_id} before batch {self.batch_id}"
