"""Keeps a creator's day in one row instead of one for each kind: a trend reads a fifth of the rows, in a quarter of the
room.

Figures that are zero are not stored. `analytics_revenueday` becomes a view with the shape that the table had, so that
a process of the release before goes on reading it. Who stores transactions waits while the rows are copied: a few
seconds for a million of them. Nothing is counted anew.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

first = import_module("analytics.migrations.0001_revenue_days")
months = import_module("analytics.migrations.0002_revenue_months")
zone_once = import_module("analytics.migrations.0003_revenue_zone_once")

KINDS = ("subscription", "recurring", "tip", "message", "post", "stream", "other")
COUNTS = ("count", "loading_count", "taken_back_count")
# `gap_cents` is what gross is above fee and net: nearly always nothing, so that the fee takes no room of its own.
CENTS = (
    "gross_cents", "net_cents", "gap_cents",
    "loading_gross_cents", "loading_net_cents", "taken_back_gross_cents", "taken_back_net_cents",
)
FIGURES = (*COUNTS, *CENTS)
# Numbers of four bytes stand together, or each would be filled up to eight.
COLUMNS = tuple(f"{kind}_{figure}" for figures in (COUNTS, CENTS) for kind in KINDS for figure in figures)
KEY = "creator_id, currency, day"


def sums(sign: str) -> str:
    """The figures of a group of transactions of one kind, each counted `sign` times, in the order of FIGURES."""
    earned, loading, taken_back = "status IN ('loading', 'done')", "status = 'loading'", "status IN ('undo', 'pending_return')"
    counted = ("1", "1", "1", "gross_cents", "net_cents", "gross_cents - fee_cents - net_cents", *("gross_cents", "net_cents") * 2)
    conditions = (earned, loading, taken_back, earned, earned, earned, loading, loading, taken_back, taken_back)
    return ",\n".join(
        f"coalesce(sum({sign} * ({what})) FILTER (WHERE {condition}), 0) AS {name}"
        for name, what, condition in zip(FIGURES, counted, conditions, strict=True)
    )


def type_of(column: str) -> str:
    return "integer" if column.endswith("count") else "bigint"


def pivoted(source: str) -> str:
    """One row of each creator, currency and day from one of each kind, so that the highest is the only one."""
    each = ",\n".join(
        f"nullif(max({figure}) FILTER (WHERE kind = '{kind}'), 0)::{type_of(figure)} AS {kind}_{figure}"
        for figures in (COUNTS, CENTS) for kind in KINDS for figure in figures
    )
    return f"SELECT {KEY}, {each}\nFROM {source} GROUP BY {KEY}"


# What the view has of each kind, in the order that the table had.
OLD_FIGURES = {name: f"coalesce({{kind}}_{name}, 0)::bigint" for name in first.FIGURES} | {
    "fee_cents": "coalesce({kind}_gross_cents, 0) - coalesce({kind}_net_cents, 0) - coalesce({kind}_gap_cents, 0)"
}
VIEW = f"""
CREATE VIEW analytics_revenueday AS
SELECT creator_id, currency, day, of_kind.*
FROM analytics_keptday CROSS JOIN LATERAL (VALUES
    {", ".join(f"('{kind}'::varchar(20), {', '.join(OLD_FIGURES.values())})".format(kind=kind) for kind in KINDS)}
) AS of_kind (kind, {", ".join(OLD_FIGURES)})
WHERE (count, taken_back_count) <> (0, 0);
"""

SUMS = f"""
CREATE FUNCTION analytics_revenue_sums(creator bigint) RETURNS SETOF analytics_keptday LANGUAGE sql STABLE AS $$
    WITH its AS MATERIALIZED (SELECT analytics_zone(time_zone) AS zone FROM crm_creator WHERE id = creator),
    of_kinds AS (
        SELECT creator AS creator_id, currency, day, kind, {sums("1")}
        FROM (
            SELECT moved.*, (occurred_at AT TIME ZONE zone)::date AS day
            FROM crm_transaction AS moved, its WHERE creator_id = creator
        ) AS moved
        GROUP BY currency, day, kind
    )
    {pivoted("of_kinds")}
$$;
"""
REBUILD = f"""
CREATE OR REPLACE FUNCTION analytics_revenue_rebuild(creator bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM analytics_revenue_lock(ARRAY[creator]);
    DELETE FROM analytics_keptday WHERE creator_id = creator;
    -- In the order of days, which is how they are read.
    INSERT INTO analytics_keptday SELECT * FROM analytics_revenue_sums(creator) ORDER BY day, currency;
END
$$;

CREATE OR REPLACE FUNCTION analytics_revenue_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM analytics_keptday;
    RETURN NULL;
END
$$;
"""
EMPTIED = f"""DELETE FROM analytics_keptday
    WHERE num_nonnulls({", ".join(f"{kind}_count, {kind}_taken_back_count" for kind in KINDS)}) = 0 AND ({KEY}) IN (
        SELECT creator_id, currency, (occurred_at AT TIME ZONE analytics_zone(time_zone))::date
        FROM old_rows JOIN crm_creator ON crm_creator.id = creator_id
    );"""


def told(moved: str) -> str:
    """Adds the changes to what is kept: every day is written once, whatever kinds it has."""
    added = ",\n".join(f"{each} = nullif(coalesce(kept.{each}, 0) + coalesce(excluded.{each}, 0), 0)" for each in COLUMNS)
    return f"""
    WITH zones AS MATERIALIZED (
        SELECT id, analytics_zone(time_zone) AS zone FROM crm_creator
        WHERE id IN (SELECT creator_id FROM ({moved}) AS moved)
    ), of_kinds AS (
        SELECT {KEY}, kind, {sums("sign")}
        FROM (
            SELECT moved.*, (occurred_at AT TIME ZONE zone)::date AS day
            FROM ({moved}) AS moved JOIN zones ON zones.id = creator_id
        ) AS moved
        GROUP BY {KEY}, kind
    ), told AS (
        {pivoted("of_kinds")}
    )
    INSERT INTO analytics_keptday AS kept ({KEY}, {", ".join(COLUMNS)})
    SELECT * FROM told WHERE num_nonnulls({", ".join(COLUMNS)}) > 0
    ON CONFLICT ({KEY}) DO UPDATE SET {added};"""


# What one row adds to each figure, in the order of FIGURES.
ONE_ADDS = (
    "one.earned", "one.loading", "one.taken_back",
    "one.earned * one.gross_cents", "one.earned * one.net_cents",
    "one.earned * (one.gross_cents - one.fee_cents - one.net_cents)",
    *(f"one.{part} * one.{amount}" for part in ("loading", "taken_back") for amount in ("gross_cents", "net_cents")),
)


def one_told(kind: str) -> str:
    columns = zip((f"{kind}_{figure}" for figure in FIGURES), ONE_ADDS, strict=True)
    added = ", ".join(f"{column} = nullif(coalesce({column}, 0) + {adds}, 0)" for column, adds in columns)
    return f"""
        IF one.kind = '{kind}' THEN
            UPDATE analytics_keptday SET {added} WHERE ({KEY}) = (one.creator_id, one.currency, one.day);
        END IF;"""


# An event tells of one transaction, nearly always of a day that has some: a plain UPDATE of one kind is a third of the
# work of the general way, which comes after it for the first of a day.
ONE = f"""
    IF locked = 1 AND (SELECT count(*) FROM new_rows) = 1 THEN
        SELECT creator_id, currency, kind, gross_cents, fee_cents, net_cents,
               (status IN ('loading', 'done'))::int AS earned, (status = 'loading')::int AS loading,
               (status IN ('undo', 'pending_return'))::int AS taken_back,
               (occurred_at AT TIME ZONE analytics_zone(
                   (SELECT time_zone FROM crm_creator WHERE id = creator_id)
               ))::date AS day
        INTO one FROM new_rows;
        {"".join(one_told(kind) for kind in KINDS)}
        IF FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
"""


# The lock is analytics_revenue_lock's, written out: a function within the function costs every event 30 microseconds.
def trigger_function(event: str) -> str:
    moved, _ = first.CHANGES[event]
    return f"""
CREATE OR REPLACE FUNCTION analytics_revenue_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    locked bigint;
    one record;
BEGIN
    SELECT count(pg_advisory_xact_lock(hashtextextended('analytics.revenue_day', creator_id))) INTO locked
    FROM (SELECT DISTINCT creator_id FROM ({moved}) AS moved ORDER BY creator_id) AS writers;
    {ONE if event == "insert" else ""}
    {told(moved)}
    {EMPTIED if event != "insert" else ""}
    RETURN NULL;
END
$$;
"""


# Writers wait here, before their triggers run, and not in the middle of them at a table that is gone when they go on.
COPY = f"""
LOCK TABLE crm_transaction IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO analytics_keptday
{pivoted(f"(SELECT {KEY}, kind, {', '.join(each for each in FIGURES if each != 'gap_cents')}, gross_cents - fee_cents - net_cents AS gap_cents FROM analytics_revenueday) AS of_kinds")}
ORDER BY creator_id, day, currency;
ANALYZE analytics_keptday;
DROP VIEW analytics_revenuemonth;
DROP FUNCTION analytics_revenue_sums(bigint);
DROP TABLE analytics_revenueday;
"""
COPY_BACK = f"""
LOCK TABLE crm_transaction IN SHARE ROW EXCLUSIVE MODE;
DROP FUNCTION analytics_revenue_sums(bigint);
DROP VIEW analytics_revenuemonth;
ALTER VIEW analytics_revenueday RENAME TO analytics_kinds;
CREATE TABLE analytics_revenueday AS SELECT * FROM analytics_kinds;
DROP VIEW analytics_kinds;
ALTER TABLE analytics_revenueday
    {", ".join(f"ALTER COLUMN {name} SET NOT NULL" for name in first.FIGURES)},
    ADD PRIMARY KEY ({first.KEY}),
    ADD FOREIGN KEY (creator_id) REFERENCES crm_creator (id) DEFERRABLE INITIALLY DEFERRED;
{months.VIEW};
{zone_once.sums_function("MATERIALIZED")}
"""


def restored(sql: str) -> str:
    """The functions of the release before, in the place of these."""
    return sql.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def function_of(name: str, sql: str) -> str:
    """One function out of several."""
    begin = sql.index(f"CREATE FUNCTION {name}(")
    return restored(sql[begin : sql.index("$$;", begin) + 3])


REBUILD_BACK = "\n".join(
    [
        function_of("analytics_revenue_rebuild", first.FUNCTIONS),
        function_of("analytics_revenue_empty", first.WHOLE),
        *(function_of(f"analytics_revenue_{event}", first.trigger(event)) for event in first.CHANGES),
    ]
)
TRIGGERS = "\n".join(trigger_function(event) for event in first.CHANGES)


class Migration(migrations.Migration):

    dependencies = [
        ('analytics', '0003_revenue_zone_once'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeptDay',
            fields=[
                ('pk', models.CompositePrimaryKey('creator_id', 'currency', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('creator', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='crm.creator')),
                ('currency', models.CharField(max_length=3)),
                ('day', models.DateField()),
                *(
                    (name, models.IntegerField(null=True) if name.endswith('count') else models.BigIntegerField(null=True))
                    for name in COLUMNS
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(COPY, migrations.RunSQL.noop),
                migrations.RunSQL(VIEW + months.VIEW, migrations.RunSQL.noop),
                migrations.RunSQL(SUMS + REBUILD + TRIGGERS, COPY_BACK + REBUILD_BACK),
            ],
            state_operations=[
                migrations.AlterModelOptions('revenueday', {'managed': False}),
                migrations.AlterField('revenueday', 'creator', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='crm.creator')),
            ],
        ),
    ]
