"""Answers whether a migration that would lock a live table, or break the version before, is named. Touches no table
but in the last tests, which look at those of today."""

from typing import Any

import pytest
from django.contrib.postgres import operations as postgres
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.db.models.functions import Now, Random

from huntaze import migration_safety
from huntaze.migration_safety import RELEASED, dangers

FAN = "fan"


def found(*steps: Any, atomic: bool = True, released: int = 0) -> list[str]:
    """What is said of new migrations of crm with these operations, of which the first so many are in the release."""
    loader = MigrationLoader(None)
    names = {app: name for app, name in loader.graph.leaf_nodes() if app in RELEASED}
    before = names["crm"]
    for number, step in enumerate(steps):
        name = f"9{number:03}_new"
        migration = Migration(name, "crm")
        migration.operations, migration.atomic = step if isinstance(step, list) else [step], atomic
        loader.graph.add_node(("crm", name), migration)
        loader.graph.add_dependency(migration, ("crm", name), ("crm", before))
        before = name
        if number < released:
            names["crm"] = name
    return [str(danger) for danger in dangers(loader, released=names)]


def add(field: Any) -> operations.AddField:
    return operations.AddField(FAN, "extra", field)


def apart(*, database: list[Any], state: list[Any]) -> operations.SeparateDatabaseAndState:
    return operations.SeparateDatabaseAndState(database_operations=database, state_operations=state)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (add(models.TextField(default="")), "does not name the column"),
        (add(models.TextField(null=True, unique=True)), "AddIndexConcurrently"),
        (add(models.TextField(null=True, db_index=True)), "AddIndexConcurrently"),
        (add(models.FloatField(db_default=Random())), "write the table anew"),
        (add(models.ForeignKey("crm.User", models.CASCADE, null=True, db_index=False)), "NOT VALID"),
        (
            add(models.GeneratedField(expression=models.F("handle"), output_field=models.TextField(), db_persist=True)),
            "writes the table anew",
        ),
        (operations.RemoveField(FAN, "notes"), "a release later"),
        (operations.DeleteModel("QuickReply"), "a release later"),
        (operations.RenameField(FAN, "notes", "remarks"), "does not know the new name"),
        (operations.RenameModel("QuickReply", "Shortcut"), "does not know the new name"),
        (operations.AlterModelTable(FAN, "fans"), "does not know the new name"),
        (operations.AddIndex(FAN, models.Index("notes", name="fan_notes")), "AddIndexConcurrently"),
        (operations.RemoveIndex("conversation", "whatever"), "RemoveIndexConcurrently"),
        (operations.AlterUniqueTogether(FAN, {("creator", "notes")}), "CREATE UNIQUE INDEX CONCURRENTLY"),
        (
            operations.AddConstraint(FAN, CheckConstraint(condition=~Q(notes="x"), name="no_x")),
            "AddConstraintNotValid",
        ),
        (
            operations.AddConstraint(FAN, UniqueConstraint(fields=["creator", "notes"], name="once")),
            "CREATE UNIQUE INDEX CONCURRENTLY",
        ),
        (operations.AlterField(FAN, "notes", models.IntegerField()), "another type"),
        (operations.AlterField(FAN, "last_seen_at", models.DateTimeField(default=None)), "IS NOT NULL"),
        (operations.AlterField(FAN, "notes", models.TextField(db_index=True)), "CREATE or DROP INDEX CONCURRENTLY"),
        (operations.AlterField(FAN, "notes", models.TextField(db_column="remarks")), "does not know the new name"),
        (operations.RunPython(lambda apps, editor: None), "there is no way back"),
        (operations.RunPython(lambda apps, editor: None, operations.RunPython.noop), "batches"),
        (operations.RunSQL("CREATE INDEX x ON crm_fan (notes)", "SELECT 1"), "add CONCURRENTLY"),
        (operations.RunSQL(["DROP INDEX x"], "SELECT 1"), "add CONCURRENTLY"),
        (operations.RunSQL("ALTER TABLE crm_fan ALTER COLUMN notes SET NOT NULL", "SELECT 1"), "IS NOT NULL"),
        (operations.RunSQL("ALTER TABLE crm_fan ALTER notes TYPE int", "SELECT 1"), "another column"),
        (operations.RunSQL("ALTER TABLE crm_fan ADD CONSTRAINT x CHECK (true)", "SELECT 1"), "NOT VALID"),
        (operations.RunSQL("ALTER TABLE crm_fan DROP COLUMN notes"), "still has crm_fan.notes"),
        (operations.RunSQL("DROP TABLE crm_fan"), "still has crm_fan"),
        (operations.RunSQL("SELECT 1"), "there is no way back"),
        (operations.RunSQL("CREATE INDEX CONCURRENTLY x ON crm_fan (notes)", "SELECT 1"), "atomic = False"),
        (apart(database=[operations.AddIndex(FAN, models.Index("notes", name="n"))], state=[]), "Concurrently"),
        (apart(database=[], state=[operations.RemoveField(FAN, "handle")]), "cannot insert"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:30],
)
def test_what_would_lock_a_table_or_break_the_version_before_is_named(operation: Any, words: str) -> None:
    told = found(operation)
    assert told
    assert all(line.startswith("crm.9000_new: ") for line in told)
    assert any(words in line for line in told), told


@pytest.mark.parametrize(
    "operation",
    [
        add(models.TextField(null=True)),
        add(models.TextField(db_default="")),
        add(models.DateTimeField(db_default=Now())),
        add(models.ForeignKey("crm.User", models.CASCADE, null=True, db_index=False, db_constraint=False)),
        operations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]),
        [
            operations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]),
            operations.AddField("thing", "name", models.TextField(unique=True)),
            operations.AddIndex("thing", models.Index("name", name="thing_name")),
        ],
        operations.AlterModelOptions(FAN, {"verbose_name": "fan"}),
        operations.AlterField(FAN, "notes", models.TextField(blank=True, help_text="Of the team.")),
        postgres.AddConstraintNotValid(FAN, CheckConstraint(condition=~Q(notes="x"), name="no_x")),
        operations.RunSQL("ALTER TABLE crm_fan ADD CONSTRAINT x CHECK (true) NOT VALID", "SELECT 1"),
    ],
)
def test_what_people_do_not_notice_passes(operation: Any) -> None:
    assert found(operation) == []


def test_what_needs_a_transaction_of_its_own_passes_there() -> None:
    concurrently = postgres.AddIndexConcurrently(FAN, models.Index("notes", name="fan_notes"))
    sql = operations.RunSQL("CREATE INDEX CONCURRENTLY x ON crm_fan (notes)", "DROP INDEX CONCURRENTLY x")
    python = operations.RunPython(lambda apps, editor: None, operations.RunPython.noop)
    assert found(concurrently, sql, python, atomic=False) == []


def test_data_moved_beside_a_change_of_the_table_is_named() -> None:
    python = operations.RunPython(lambda apps, editor: None, operations.RunPython.noop)
    [told] = found([add(models.TextField(null=True)), python], atomic=False)
    assert "a migration of its own" in told


def test_a_column_goes_in_the_release_after_the_one_that_no_longer_used_it() -> None:
    optional = operations.AlterField(FAN, "notes", models.TextField(null=True))
    given_up = apart(database=[], state=[operations.RemoveField(FAN, "notes")])
    drop = operations.RunSQL("ALTER TABLE crm_fan DROP COLUMN notes")
    assert found(optional, given_up, drop, released=2) == []
    assert "still has crm_fan.notes" in found(optional, given_up, drop)[0]


def test_a_table_goes_in_the_release_after_the_one_that_no_longer_used_it() -> None:
    given_up = apart(database=[], state=[operations.DeleteModel("QuickReply")])
    drop = operations.RunSQL("DROP TABLE crm_quickreply")
    assert found(given_up, drop, released=1) == []
    assert found(given_up, drop) != []


def test_a_table_gives_way_to_a_view_of_its_name_in_the_same_transaction() -> None:
    swap = operations.RunSQL("DROP TABLE crm_quickreply; CREATE VIEW crm_quickreply AS SELECT 1", "SELECT 1")
    assert found([swap]) == []
    assert "still has crm_quickreply" in found([swap], atomic=False)[0]


def test_a_unique_constraint_that_the_version_before_may_name_stays() -> None:
    once = UniqueConstraint(fields=["creator", "notes"], name="once")
    told = found(operations.AddConstraint(FAN, once), operations.RemoveConstraint(FAN, "once"), released=1)
    assert "ON CONFLICT" in told[0]


def test_an_operation_without_a_rule_is_not_waved_through() -> None:
    class Strange(operations.base.Operation):
        def state_forwards(self, app_label: str, state: Any) -> None: ...

    assert "no rule" in found(Strange())[0]


def test_the_release_is_one_that_there_is() -> None:
    nodes = MigrationLoader(None).graph.nodes
    assert all(key in nodes for key in RELEASED.items())


def test_the_command_names_what_it_found_and_fails(monkeypatch: Any, capsys: Any) -> None:
    danger = migration_safety.Danger("crm.0099_x", "Remove field notes: the version before still reads it")
    monkeypatch.setattr("huntaze.management.commands.check_migrations.dangers", lambda: [danger])
    with pytest.raises(CommandError, match="upgrade"):
        call_command("check_migrations")
    assert "crm.0099_x: Remove field notes" in capsys.readouterr().err


def missed() -> list[str]:
    """Columns of today that an INSERT of the release would have to name and does not, and columns that it misses."""
    state = MigrationLoader(None).project_state(list(RELEASED.items()))
    troubles = []
    with connection.cursor() as cursor:
        for model in state.apps.get_models():
            if model._meta.app_label not in RELEASED:
                continue
            cursor.execute(
                "SELECT column_name, is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES'"
                " FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
                [model._meta.db_table],
            )
            today = dict(cursor.fetchall())
            theirs = {field.column for field in model._meta.local_concrete_fields}
            troubles += [f"{model._meta.db_table}.{name} is gone" for name in sorted(theirs - set(today))]
            troubles += [
                f"{model._meta.db_table}.{name} has no default"
                for name, optional in sorted(today.items())
                if name not in theirs and not optional
            ]
    return troubles


@pytest.mark.django_db
def test_the_version_before_reads_and_writes_the_tables_of_today() -> None:
    assert missed() == []


@pytest.mark.django_db
def test_a_column_that_it_would_miss_or_could_not_fill_is_seen() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE crm_quickreply ADD COLUMN extra int NOT NULL, ADD COLUMN more int, DROP COLUMN text"
        )
    assert missed() == ["crm_quickreply.text is gone", "crm_quickreply.extra has no default"]
