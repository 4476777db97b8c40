"""Answers which tables the OnlyFans boundary keeps: vendor accounts and imports. Touches nothing but the database."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from encrypted_fields.fields import EncryptedTextField

from crm.models import Creator, FanBatch


class AccountState(models.TextChoices):
    CONNECTED = "connected", "Connected"
    SESSION_EXPIRED = "session_expired", "Session expired"
    DISCONNECTED = "disconnected", "Disconnected"


class Account(models.Model):
    """A creator's credentials at the vendor. The key is encrypted and never shown again."""

    creator = models.OneToOneField(Creator, on_delete=models.CASCADE, related_name="account")
    account_id = models.CharField(max_length=64, unique=True, help_text="The vendor's id of the account: acct_…")
    api_key = EncryptedTextField()
    state = models.CharField(max_length=20, choices=AccountState.choices, default=AccountState.CONNECTED)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=AccountState.values), name="account_state_known"),
        ]

    def __str__(self) -> str:
        return self.account_id


class ImportStatus(models.TextChoices):
    DRY_RUN = "dry_run", "Dry run"
    DONE = "done", "Done"
    UNDONE = "undone", "Undone"


class ImportBatch(models.Model):
    """One file of fans and what became of each of its rows.

    `mapping` is `{fan field: column header}`; `header` has the file's headers, as its rows have their cells. `notices`
    has what a person should know of the file as a whole: `[{"row": null, "text"}]`. What became of the rows that are no
    fans now stands in ImportRow.
    """

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="import_batches")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    filename = models.CharField(max_length=255)
    status = models.CharField(max_length=20, choices=ImportStatus.choices)
    mapping = models.JSONField(default=dict)
    header = models.JSONField(default=list)
    total_rows = models.PositiveIntegerField(default=0)
    inserted = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    rejected_rows = models.PositiveIntegerField(default=0)
    notices = models.JSONField(default=list)
    # By which the import can be undone; gone where there is nothing to undo.
    fan_batch = models.OneToOneField(FanBatch, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "import batches"
        constraints = [
            # Every row is accounted for.
            models.CheckConstraint(
                condition=Q(
                    total_rows=F("inserted") + F("updated") + F("unchanged") + F("skipped") + F("rejected_rows")
                ),
                name="import_rows_add_up",
            ),
        ]
        indexes = [models.Index("creator", F("created_at").desc(), name="import_by_time")]

    def __str__(self) -> str:
        return self.filename


class ImportRow(models.Model):
    """A row of a file that was not stored: rejected for its `problems`, or skipped for a later row about the same fan.

    `problems` is `[{"column", "value", "error"}]` and `cells` the row as it was, both empty for a skipped row.
    """

    # Written by the hundred thousand, always behind their import and in its transaction.
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="rows", db_constraint=False)
    line = models.PositiveIntegerField()
    overtaken_by = models.PositiveIntegerField(null=True, blank=True)
    problems = models.JSONField(default=list)
    cells = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "line"], name="import_row_once_per_line")]

    def __str__(self) -> str:
        return f"line {self.line} of import {self.batch_id}"
