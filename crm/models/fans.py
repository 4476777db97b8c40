"""Answers which tables keep the fans, and what undoes a bulk write of them. Touches the database alone."""

from datetime import UTC, datetime

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower, Now, NullIf

from crm.models.creators import Creator, Platform
from crm.models.indexes import search_index

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
    # How much of the value is there only because files of transactions show that the fan paid more than was told.
    value_lift_cents = models.BigIntegerField(default=0, db_default=0, editable=False)
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
            search_index("fan_search", "name", "handle"),
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
