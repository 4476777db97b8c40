"""Answers which tables analytics keeps: revenue by the creator's own days. Touches the database alone.

Only PostgreSQL writes them (migrations/0004_kept_days.py): triggers on the transactions keep them in the transaction
that moves the money, whoever writes it, and rebuild a creator's when the time zone changes.
"""

from django.db import models

from crm.models import Creator, TransactionKind


class KeptDay(models.Model):
    """The money of one creator, currency and day: a column `{kind}_{figure}` for each kind and each of FIGURES.

    `day` is the creator's own, from midnight to midnight in `Creator.time_zone`. Hours of UTC would answer for every
    zone but those half an hour or 45 minutes off, with 24 times the rows; a zone changes next to never.

    A figure that is zero is NULL, which takes no room, and there is no row without a transaction. One row for all kinds
    takes a quarter of the room of one for each, and a year of them is read within a millisecond.
    """

    # Of transactions that are loading or done; `loading_…` is the part of them that is still on its way. What was taken
    # back or is being returned is only in `taken_back_…`. Amounts are in cents; `gap_cents` is what gross is above fee
    # and net, which is nearly always nothing.
    FIGURES = (
        "count",
        "loading_count",
        "taken_back_count",
        "gross_cents",
        "net_cents",
        "gap_cents",
        "loading_gross_cents",
        "loading_net_cents",
        "taken_back_gross_cents",
        "taken_back_net_cents",
    )

    pk = models.CompositePrimaryKey("creator_id", "currency", "day")
    # The key begins with the creator; an index of its own would be a second one.
    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.day} at {self.creator_id}, {self.currency}"


for _kind in TransactionKind.values:
    for _figure in KeptDay.FIGURES:
        _number = models.IntegerField if _figure.endswith("count") else models.BigIntegerField
        KeptDay.add_to_class(f"{_kind}_{_figure}", _number(null=True))


class RevenueDay(models.Model):
    """The money of one creator, currency, day and kind: a view of the kept days, for questions that need no haste."""

    pk = models.CompositePrimaryKey("creator_id", "currency", "day", "kind")
    creator = models.ForeignKey(
        Creator, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    currency = models.CharField(max_length=3)
    day = models.DateField()
    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    count = models.BigIntegerField()
    gross_cents = models.BigIntegerField()
    fee_cents = models.BigIntegerField()
    net_cents = models.BigIntegerField()
    loading_count = models.BigIntegerField()
    loading_gross_cents = models.BigIntegerField()
    loading_net_cents = models.BigIntegerField()
    taken_back_count = models.BigIntegerField()
    taken_back_gross_cents = models.BigIntegerField()
    taken_back_net_cents = models.BigIntegerField()

    class Meta:
        managed = False

    def __str__(self) -> str:
        return f"{self.kind} of {self.day} at {self.creator_id}"


class RevenueMonth(models.Model):
    """The money of one creator, currency and month: a view of the days, for operators. No table and never written."""

    id = models.CharField(max_length=40, primary_key=True)
    creator = models.ForeignKey(Creator, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    currency = models.CharField(max_length=3)
    month = models.DateField()
    count = models.BigIntegerField("transactions")
    gross_cents = models.BigIntegerField()
    fee_cents = models.BigIntegerField()
    net_cents = models.BigIntegerField()
    loading_net_cents = models.BigIntegerField()
    taken_back_net_cents = models.BigIntegerField()

    class Meta:
        managed = False
        verbose_name = "revenue of a month"
        verbose_name_plural = "revenue by month"

    def __str__(self) -> str:
        return f"{self.creator} in {self.month:%Y-%m}, {self.currency}"
