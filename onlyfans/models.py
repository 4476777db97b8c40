"""Answers which tables the OnlyFans boundary keeps: vendor accounts, events, how far a sync is, imports.
Touches nothing but the database."""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from encrypted_fields.fields import EncryptedTextField

from crm.models import Creator, FanBatch, TransactionBatch, audit_indexes, audit_model, search_index


class AccountState(models.TextChoices):
    CONNECTED = "connected", gettext_lazy("Connected")
    SESSION_EXPIRED = "session_expired", gettext_lazy("Session expired")
    DISCONNECTED = "disconnected", gettext_lazy("Disconnected")


class Account(models.Model):
    """A creator's credentials at the vendor. The key is encrypted and never shown again."""

    creator = models.OneToOneField(Creator, on_delete=models.CASCADE, related_name="account")
    account_id = models.CharField(max_length=64, unique=True, help_text="The vendor's id of the account: acct_…")
    api_key = EncryptedTextField()
    # What events are signed with; none comes in without. The one before counts too, until the vendor has the new one.
    webhook_secret = EncryptedTextField(null=True, blank=True)
    webhook_secret_previous = EncryptedTextField(null=True, blank=True)
    # Since when the vendor sends events here, as far as it told us.
    webhook_registered_at = models.DateTimeField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=AccountState.choices, default=AccountState.CONNECTED)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=AccountState.values), name="account_state_known"),
        ]
        indexes = [search_index("account_search", "account_id")]

    def __str__(self) -> str:
        return self.account_id


class AccountEvent(
    audit_model(  # type: ignore[misc]  # a class that is made here
        Account,
        pghistory.InsertEvent("added"),
        pghistory.UpdateEvent("before", row=pghistory.Old),
        pghistory.UpdateEvent("changed"),
        pghistory.UpdateEvent("key_stored", condition=pgtrigger.AnyChange("api_key")),
        pghistory.DeleteEvent("removed"),
        fields=["id", "creator", "account_id", "state"],
    )
):
    """Who connected or disconnected an account, or stored a key. The key itself is never kept here."""

    class Meta:
        indexes = audit_indexes("account")

    def __str__(self) -> str:
        return f"{self.pgh_label} account {self.id}"


class WebhookEvent(models.Model):
    """One event as the vendor told it, stored once before anything is done about it.

    Events of one `line` (a fan, the account) are applied in the order in which they came; an empty line stands alone.
    Without `applied_at` it waits: for its turn, for `retry_at`, or, with attempts and no `retry_at`, for a person.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_events")
    event_id = models.CharField(max_length=100)
    kind = models.CharField(max_length=100)
    line = models.CharField(max_length=100, blank=True)
    # The text and not jsonb, which cannot hold all that JSON may say.
    body = models.TextField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "event_id"], name="webhook_event_once"),
        ]
        indexes = [
            models.Index("id", name="webhook_event_waiting", condition=Q(applied_at=None)),
            models.Index("account", "line", "id", name="webhook_event_in_line", condition=~Q(line="")),
            models.Index("applied_at", name="webhook_event_applied", condition=Q(applied_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class Resource(models.TextChoices):
    """What is synced, in the order in which it is: messages and money are of fans."""

    FANS = "fans", gettext_lazy("Fans")
    CHATS = "chats", gettext_lazy("Chats and messages")
    TRANSACTIONS = "transactions", gettext_lazy("Transactions")


class SyncState(models.Model):
    """How far a sync of one resource has come: the cursor of the next page, empty once all of `since` is done.

    `finished_at` is when the last finished sync began: what happened before is stored.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sync_states")
    resource = models.CharField(max_length=20, choices=Resource.choices)
    cursor = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "resource"], name="sync_state_once"),
            models.CheckConstraint(condition=Q(resource__in=Resource.values), name="sync_resource_known"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of {self.account_id}"


class ImportStatus(models.TextChoices):
    QUEUED = "queued", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    FAILED = "failed", gettext_lazy("Failed")
    DRY_RUN = "dry_run", gettext_lazy("Dry run")
    DONE = "done", gettext_lazy("Done")
    UNDONE = "undone", gettext_lazy("Undone")


class ImportKind(models.TextChoices):
    FANS = "fans", gettext_lazy("Fans")
    EARNINGS = "earnings", gettext_lazy("Transactions")


class ImportBatch(models.Model):
    """One file of fans or of transactions, and what became of each of its rows.

    `mapping` is `{field: column header}`; `header` has the file's headers, as its rows have their cells. `notices`
    has what a person should know of the file as a whole: `[{"row": null, "text"}]`. What became of the rows that are no
    fans now stands in ImportRow.
    """

    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="import_batches")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=20, choices=ImportKind.choices, db_default=ImportKind.FANS)
    filename = models.CharField(max_length=255)
    status = models.CharField(max_length=20, choices=ImportStatus.choices)
    mapping = models.JSONField(default=dict)
    header = models.JSONField(default=list)
    # What was chosen beside the columns; null where the dates were left to the file.
    overwrite = models.JSONField(default=list)
    day_first = models.BooleanField(null=True, blank=True)
    # How the file was read (csv_layout.Found, payloads.Reading) and what it comes to (import_summary), as JSON.
    reading = models.JSONField(default=dict, db_default={}, blank=True)
    contents = models.JSONField(default=dict, db_default={}, blank=True)
    total_rows = models.PositiveIntegerField(default=0)
    inserted = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    rejected_rows = models.PositiveIntegerField(default=0)
    notices = models.JSONField(default=list)
    # Why it failed, for a person and for a program; of a job alone, since a request is told so itself.
    error = models.TextField(blank=True, db_default="")
    error_code = models.CharField(max_length=50, blank=True, db_default="")
    # By which the import can be undone; gone where there is nothing to undo.
    fan_batch = models.OneToOneField(FanBatch, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # Without a constraint and an index, which would be made under a lock; nobody asks for an import by it.
    transaction_batch = models.ForeignKey(
        TransactionBatch,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
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
        indexes = [
            models.Index("creator", F("created_at").desc(), name="import_by_time"),
            search_index("import_search", "filename"),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def is_dry_run(self) -> bool:
        """Whether it only says what an import would do; of a job it is known before the end."""
        job: ImportJob | None = getattr(self, "job", None)
        return self.status == ImportStatus.DRY_RUN or (job is not None and job.dry_run)

    @property
    def is_undoable(self) -> bool:
        """Whether it changed something that is known."""
        return self.status == ImportStatus.DONE and (self.fan_batch_id or self.transaction_batch_id) is not None

    @property
    def is_waiting(self) -> bool:
        """Whether what becomes of it is still open."""
        return self.status in (ImportStatus.QUEUED, ImportStatus.RUNNING)


class ImportJob(models.Model):
    """An import that is left to a worker: what was asked for, and how far it is. Its import says what became of it.

    How far it is stands here and not in the import, because it is written beside the transaction that writes that.
    """

    # What jobs.py calls it.
    NAME, QUEUE = "onlyfans.import_run", "imports"

    batch = models.OneToOneField(ImportBatch, on_delete=models.CASCADE, primary_key=True, related_name="job")
    # As fans_import takes them; null is what the caller left open.
    mapping = models.JSONField(null=True, blank=True)
    overwrite = models.JSONField(null=True, blank=True)
    day_first = models.BooleanField(null=True, blank=True)
    # csv_layout.Layout, without what is left to the file.
    layout = models.JSONField(default=dict, db_default={}, blank=True)
    decimal_mark = models.CharField(max_length=1, blank=True, db_default="")
    remembered = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)
    rows_done = models.PositiveIntegerField(default=0)
    rows_total = models.PositiveIntegerField(default=0)
    # Once all rows are read: the new fans that are written, and all that will be.
    fans_done = models.PositiveIntegerField(default=0, db_default=0)
    fans_total = models.PositiveIntegerField(default=0, db_default=0)
    attempts = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"job of import {self.batch_id}"


class ImportPart(models.Model):
    """A piece of a file that waits for its import, where every host reaches it; gone once the import has ended."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="import_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of import {self.job_id}"


class ImportRow(models.Model):
    """A row of a file that was not stored: rejected for its `problems`, or skipped.

    It is skipped for a later row about the same fan, or because somebody deleted the fan.

    `problems` is `[{"column", "value", "error"}]` and `cells` the row as it was, both empty for a skipped row.
    """

    # Written by the hundred thousand, always behind their import and in its transaction.
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="rows", db_constraint=False)
    line = models.PositiveIntegerField()
    overtaken_by = models.PositiveIntegerField(null=True, blank=True)
    fan_deleted = models.BooleanField(default=False, db_default=False)
    problems = models.JSONField(default=list)
    cells = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "line"], name="import_row_once_per_line")]

    def __str__(self) -> str:
        return f"line {self.line} of import {self.batch_id}"
