"""Answers how a fan's value follows what the fan paid. Touches fans; called in the transaction that stores the money.

A value is gross, in cents of USD, and is never less than nothing. Which money it has already is told by where it came
from:

- The platform told it (`value_as_of`): it has all that was paid until then. Money since is added, whatever its source,
  and taken off where it is taken back.
- A file or a person gave it, or nobody did: live money is added. History may be in it already, so it only sees to it
  that the value is not less than all that is stored of the fan. What is taken back is taken off. How much history has
  raised a value above what was told stands in `value_lift_cents`, so that an import of transactions can be undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crm.statements import statement_run

CURRENCY = "USD"
# The fans are locked in the order of their ids, so that two writers of several wait in line and not for each other.
# Whose value stays the same is not written: a new version would refuse a person's change for nothing.
_FOLLOW = """
WITH told AS (
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[]) AS told (fan_id, occurred_at, cents)
), fans AS MATERIALIZED (
    SELECT id, value_as_of FROM crm_fan
    WHERE id IN (SELECT fan_id FROM told) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE
), counted AS (
    SELECT fans.id, %s OR value_as_of IS NOT NULL AS added, NOT %s AND value_as_of IS NULL AS lifted,
        sum(cents) AS cents, sum(least(cents, 0)) AS taken
    FROM fans JOIN told ON told.fan_id = fans.id
    WHERE value_as_of IS NULL OR value_as_of < occurred_at GROUP BY fans.id, value_as_of
), worth AS (
    SELECT id, lifted, CASE WHEN added THEN cents ELSE taken END AS change, CASE WHEN NOT added THEN (
        SELECT sum(gross_cents) FROM crm_transaction
        WHERE fan_id = counted.id AND status IN ('loading', 'done') AND currency = %s
    ) END AS known
    FROM counted
)
UPDATE crm_fan SET value_cents = greatest(0, value_cents + change, known),
    value_lift_cents = CASE WHEN lifted
        THEN greatest(0, value_lift_cents + greatest(0, value_cents + change, known) - value_cents)
        ELSE value_lift_cents END,
    updated_at = now()
FROM worth WHERE crm_fan.id = worth.id AND value_cents <> greatest(0, value_cents + change, known)
"""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """Gross cents of USD by which what a fan paid has grown, or shrunk where it is negative; paid at `occurred_at`."""

    fan_id: int
    occurred_at: datetime
    cents: int


def fan_values_follow(*, changes: Sequence[ValueChange], live: bool) -> None:
    """Bring the fans' values up to what they paid, in one statement. live: the money is news, not history."""
    if changes:
        columns = zip(*((each.fan_id, each.occurred_at, each.cents) for each in changes), strict=True)
        statement_run(_FOLLOW, [*(list(column) for column in columns), live, live, CURRENCY])


# Of a fan whose value the platform told, what was added is taken off again; of another one the value is what it would
# be without files of transactions, and never less than what is still stored of the fan.
_FALL_BACK = """
WITH told AS (
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[]) AS told (fan_id, occurred_at, cents)
), fans AS MATERIALIZED (
    SELECT id, value_as_of FROM crm_fan
    WHERE id IN (SELECT fan_id FROM told) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE
), worth AS (
    SELECT fans.id, value_as_of IS NULL AS lifted, coalesce(sum(cents) FILTER (WHERE occurred_at > value_as_of), 0)
        AS cents, coalesce((
            SELECT sum(gross_cents) FROM crm_transaction
            WHERE fan_id = fans.id AND status IN ('loading', 'done') AND currency = %s
        ), 0) AS known
    FROM fans JOIN told ON told.fan_id = fans.id GROUP BY fans.id, value_as_of
), fallen AS (
    SELECT worth.id, lifted, CASE WHEN lifted THEN greatest(0, value_cents - value_lift_cents, known)
        ELSE greatest(0, value_cents + cents) END AS value
    FROM worth JOIN crm_fan USING (id)
)
UPDATE crm_fan SET value_cents = value, updated_at = now(),
    value_lift_cents = CASE WHEN lifted
        THEN greatest(0, value - (value_cents - value_lift_cents)) ELSE value_lift_cents END
FROM fallen WHERE crm_fan.id = fallen.id AND value_cents <> value
"""


def fan_values_fall_back(*, changes: Sequence[ValueChange]) -> None:
    """Bring the fans' values back, once an import of transactions was undone; `changes` as of fan_values_follow."""
    if changes:
        columns = zip(*((each.fan_id, each.occurred_at, each.cents) for each in changes), strict=True)
        statement_run(_FALL_BACK, [*(list(column) for column in columns), CURRENCY])
