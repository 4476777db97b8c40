"""Answers which new migrations would hold up, or break, the version that runs while they are applied. Reads migrations.

The version before goes on while tables change, so a change takes two releases where it takes something away: expand,
deploy, contract (docs/how-to/upgrade.md). What PostgreSQL locks for how long:
https://www.postgresql.org/docs/current/sql-altertable.html and sql-createindex.html.

Written out and no package: django-migration-linter reads the SQL by patterns, which lets through a CHECK or a foreign
key that is validated under a lock and data moved in the transaction of a schema change, and cannot tell a column that
the release before no longer used from one that it needs.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import connection, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED
from django.db.models.functions import Now

# The last migration of each app in the release that people run; moved on when the next one is cut.
RELEASED = {
    "analytics": "0003_revenue_zone_once",
    "crm": "0011_quick_replies",
    "messaging": "0009_bypassed_label",
    "onlyfans": "0010_import_kind",
}
# What changes the catalogue alone, or Django's own idea of a model.
HARMLESS = (
    operations.CreateModel,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.AlterModelTableComment,
    operations.AlterOrderWithRespectTo,
    operations.RenameIndex,
    postgres.AddIndexConcurrently,
    postgres.RemoveIndexConcurrently,
    postgres.AddConstraintNotValid,
    postgres.ValidateConstraint,
    postgres.CreateExtension,
)
# They add a trigger to the catalogue, or take one out.
TRIGGERS = "pgtrigger."
CONCURRENTLY = "it is built under a lock that stops all writes: {} instead, in a migration with atomic = False"
IN_SQL = (
    (r"\bCREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)", "CREATE INDEX stops all writes: add CONCURRENTLY"),
    (r"\bDROP\s+INDEX\s+(?!CONCURRENTLY)", "DROP INDEX waits for all reads and stops them: add CONCURRENTLY"),
    (r"\bREINDEX\s+(?!.*CONCURRENTLY)", "REINDEX stops all writes: add CONCURRENTLY"),
    (r"\bSET\s+NOT\s+NULL\b", "it reads the whole table under a lock: validate a CHECK (… IS NOT NULL) before"),
    (
        r"\bALTER\s+(COLUMN\s+)?\S+\s+(SET\s+DATA\s+)?TYPE\b",
        "it writes the table anew under a lock: add another column",
    ),
    (r"\bRENAME\s+(COLUMN|TO)\b", "the version before does not know the new name: add, copy, and drop a release later"),
    (
        r"\bADD\s+CONSTRAINT\b(?!.*\b(NOT\s+VALID|USING\s+INDEX)\b)",
        "all rows are looked at under a lock: add NOT VALID, and VALIDATE CONSTRAINT in a migration after it",
    ),
    (r"\b(TRUNCATE|VACUUM\s+FULL|CLUSTER)\b", "it stops all reads of the table"),
)
DROPPED = re.compile(
    r'\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?"?(\w+)"?\s+DROP\s+COLUMN\s+(?:IF\s+EXISTS\s+)?"?(\w+)"?'
    r'|\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?"?(\w+)"?',
    re.IGNORECASE,
)
VIEW = r"\bCREATE\s+VIEW\s+{}\b"


@dataclass(frozen=True, slots=True)
class Danger:
    """`what` names the operation and says what to do instead."""

    migration: str
    what: str

    def __str__(self) -> str:
        return f"{self.migration}: {self.what}."


def dangers(loader: MigrationLoader | None = None, *, released: dict[str, str] = RELEASED) -> list[Danger]:
    """What is dangerous in the migrations after those of the release, in the order in which they are applied."""
    loader = loader or MigrationLoader(None)
    old = {key for app, name in released.items() for key in loader.graph.forwards_plan((app, name))}
    plan: list[tuple[str, str]] = []
    for leaf in sorted(loader.graph.leaf_nodes()):
        plan += [key for key in loader.graph.forwards_plan(leaf) if key not in plan]
    state = ProjectState(real_apps=loader.unmigrated_apps)
    given_up: set[tuple[str, str]] = set()
    # Tables that the release does not know are nobody's yet.
    known: set[tuple[str, str]] = set()
    found: list[Danger] = []
    for key in sorted(plan, key=lambda key: key not in old):
        migration, app = loader.graph.nodes[key], key[0]
        if app in released and key not in old:
            found += [
                Danger(f"{app}.{key[1]}", what) for what in _Judge(app, migration, known, given_up).dangers(state)
            ]
            continue
        for operation in migration.operations:
            given_up |= set(_given_up(operation, app, state))
            operation.state_forwards(app, state)
        known = set(state.models)
    return found


def _given_up(operation: Any, app: str, state: ProjectState) -> Iterator[tuple[str, str]]:
    """The table and column (empty for all of it) that a release took out of its models and left in the database."""
    if not isinstance(operation, operations.SeparateDatabaseAndState) or operation.database_operations:
        return
    for inner in operation.state_operations:
        if isinstance(inner, operations.RemoveField):
            model = _options(state, app, inner.model_name)
            yield model.db_table, model.get_field(inner.name).column
        elif isinstance(inner, operations.DeleteModel):
            yield _options(state, app, inner.name).db_table, ""


class _Judge:
    """Looks at the operations of one new migration."""

    def __init__(
        self, app: str, migration: Migration, known: set[tuple[str, str]], given_up: set[tuple[str, str]]
    ) -> None:
        self.app, self.migration, self.known, self.given_up = app, migration, known, given_up
        self.sql = " ; ".join(_sql(each) for each in _flat(migration.operations) if isinstance(each, operations.RunSQL))
        self.rules: dict[type, Callable[[Any, ProjectState, ProjectState], Iterator[str]]] = {
            operations.AddField: self._add_field,
            operations.AlterField: self._alter_field,
            operations.RemoveField: self._remove,
            operations.DeleteModel: self._remove,
            operations.RenameField: self._rename,
            operations.RenameModel: self._rename,
            operations.AlterModelTable: self._rename,
            operations.AddIndex: self._index,
            operations.RemoveIndex: self._index,
            operations.AlterUniqueTogether: self._unique_together,
            operations.AddConstraint: self._add_constraint,
            operations.RemoveConstraint: self._remove_constraint,
            operations.RunPython: self._run_python,
            operations.RunSQL: self._run_sql,
        }

    def dangers(self, state: ProjectState) -> list[str]:
        """Changes the state as the migration does."""
        return [what for operation in self.migration.operations for what in self._judged(operation, state)]

    def _judged(self, operation: Any, state: ProjectState) -> list[str]:
        before = state.clone()
        operation.state_forwards(self.app, state)
        if isinstance(operation, operations.SeparateDatabaseAndState):
            within = before.clone()
            found = [what for inner in operation.database_operations for what in self._judged(inner, within)]
            if not operation.database_operations:
                found += [what for inner in operation.state_operations for what in self._left_behind(inner, before)]
            return found
        words = operation.describe()
        known = isinstance(operation, HARMLESS) or type(operation).__module__.startswith(TRIGGERS)
        if known or self._is_of_a_new_table(operation):
            return []
        rule = next((rule for kind, rule in self.rules.items() if type(operation) is kind), None)
        if rule is None:
            return [f"{words}: no rule of huntaze/migration_safety.py says what this does to a live table"]
        return [f"{words}: {what}" for what in rule(operation, before, state)]

    def _is_of_a_new_table(self, operation: Any) -> bool:
        name = getattr(operation, "model_name", None) or getattr(operation, "name", None)
        special = isinstance(operation, operations.RunPython | operations.RunSQL)
        return not special and isinstance(name, str) and (self.app, name.lower()) not in self.known

    def _pair(self, operation: Any, before: ProjectState, after: ProjectState) -> tuple[Any, Any]:
        """The field as it was and as it will be."""
        old, new = (_options(state, self.app, operation.model_name) for state in (before, after))
        return old.get_field(operation.name), new.get_field(operation.name)

    def _left_behind(self, operation: Any, before: ProjectState) -> Iterator[str]:
        """A column that is left in the database must not be missed by whoever no longer names it."""
        if isinstance(operation, operations.RemoveField):
            field = _options(before, self.app, operation.model_name).get_field(operation.name)
            if field.concrete and not (field.null or field.db_default is not NOT_PROVIDED):
                yield (
                    f"{operation.describe()}: the column stays and is NOT NULL, so the new version cannot insert: "
                    "make it null=True or give it a db_default before"
                )

    def _add_field(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        field = _options(after, self.app, operation.model_name).get_field(operation.name)
        if field.many_to_many:
            return
        if getattr(field, "generated", False):
            yield "a generated column writes the table anew under a lock: add a plain one and fill it"
        elif not field.null and field.db_default is NOT_PROVIDED:
            yield "the version before does not name the column when it inserts: give it a db_default or null=True"
        if isinstance(field.db_default, models.Expression) and not isinstance(field.db_default, models.Value | Now):
            yield "such a db_default may write the table anew under a lock: add it as null=True and fill it"
        if field.unique or field.db_index:
            yield CONCURRENTLY.format("db_index=False, then AddIndexConcurrently (or CREATE UNIQUE INDEX CONCURRENTLY)")
        if field.remote_field and field.db_constraint:
            yield "both tables are locked while the key is validated: db_constraint=False, then ADD … NOT VALID"

    def _alter_field(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        old, new = self._pair(operation, before, after)
        if old.column != new.column:
            yield from self._rename(operation, before, after)
        if not _fits(old, new):
            yield "another type writes the table anew under a lock: add another column, copy, and drop a release later"
        if old.null and not new.null:
            yield "it reads the whole table under a lock: validate a CHECK (… IS NOT NULL) before, and use RunSQL"
        if (new.unique, new.db_index) != (old.unique, old.db_index):
            yield CONCURRENTLY.format("RunSQL with CREATE or DROP INDEX CONCURRENTLY")
        if new.remote_field and new.db_constraint and not (old.remote_field and old.db_constraint):
            yield "both tables are locked while the key is validated: RunSQL with ADD CONSTRAINT … NOT VALID"

    def _remove(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        yield (
            "the version before still reads it: take it out of the models by "
            "SeparateDatabaseAndState(state_operations=…), and drop it by RunSQL a release later"
        )

    def _rename(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        yield "the version before does not know the new name: keep the old one by db_column or db_table"

    def _index(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        if isinstance(operation, operations.AddIndex):
            yield CONCURRENTLY.format("AddIndexConcurrently")
        else:
            yield "it waits for all who read, and stops those who come: RemoveIndexConcurrently, with atomic = False"

    def _unique_together(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        yield CONCURRENTLY.format("CREATE UNIQUE INDEX CONCURRENTLY by RunSQL")

    def _add_constraint(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        if isinstance(operation.constraint, models.CheckConstraint):
            yield "all rows are looked at under a lock: AddConstraintNotValid, and ValidateConstraint in another"
        else:
            yield CONCURRENTLY.format("CREATE UNIQUE INDEX CONCURRENTLY by RunSQL, the constraint as state alone")

    def _remove_constraint(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        constraints = before.models[self.app, operation.model_name.lower()].options["constraints"]
        if not all(isinstance(each, models.CheckConstraint) for each in constraints if each.name == operation.name):
            yield "the version before may name it in ON CONFLICT: take it away a release after the last use"

    def _run_python(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        if len(self.migration.operations) > 1:
            yield "what else the migration locks stays locked meanwhile: give it a migration of its own"
        if self.migration.atomic and operation.atomic is not False:
            yield "all rows stay locked until the last is done: atomic = False, and batches"
        if operation.reverse_code is None:
            yield "there is no way back: give it a reverse_code, RunPython.noop where nothing is to be done"

    def _run_sql(self, operation: Any, before: ProjectState, after: ProjectState) -> Iterator[str]:
        sql = _sql(operation)
        for pattern, what in IN_SQL:
            for statement in sql.split(";"):
                if re.search(pattern, statement, re.IGNORECASE | re.DOTALL):
                    yield what
        for found in DROPPED.finditer(sql):
            table, column = (found[1], found[2]) if found[1] else (found[3], "")
            # A view of that name, made in the same transaction, goes on answering the release.
            kept = not column and self.migration.atomic and re.search(VIEW.format(table), self.sql, re.IGNORECASE)
            if not kept and not {(table, column), (table, "")} & self.given_up:
                yield f"the release still has {table}{'.' if column else ''}{column} in its models"
        if re.search(r"CONCURRENTLY", sql, re.IGNORECASE) and self.migration.atomic:
            yield "PostgreSQL refuses CONCURRENTLY in a transaction: atomic = False"
        if operation.reverse_sql is None and not DROPPED.search(sql):
            yield "there is no way back: give it a reverse_sql"


def _flat(several: Iterable[Any]) -> Iterator[Any]:
    """With those that change the database alone among them."""
    for operation in several:
        if isinstance(operation, operations.SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
        else:
            yield operation


def _sql(operation: Any) -> str:
    return operation.sql if isinstance(operation.sql, str) else " ; ".join(str(each) for each in operation.sql)


def _options(state: ProjectState, app: str, model: str) -> Any:
    """What Django knows of a model as of this state: its table and fields."""
    return state.apps.get_model(app, model)._meta  # noqa: SLF001  public by its documentation


def _fits(old: Any, new: Any) -> bool:
    """Whether the column's type stays, or becomes one to which PostgreSQL goes without looking at the rows."""
    was, will = (field.db_parameters(connection)["type"] or "" for field in (old, new))
    if was == will or (was.startswith("varchar") and will == "text"):
        return True
    sizes = [re.fullmatch(r"varchar\((\d+)\)", text) for text in (was, will)]
    return all(sizes) and int(sizes[0][1]) <= int(sizes[1][1])  # type: ignore[index]  # all of them matched
