"""Drops three indexes of one column, which others begin with: a plan for any tenant would rather sort by them.

Such a plan expects few rows of each, so that the shortest index looks cheapest: ten thousand messages were read and
sorted for a page of a hundred. What the keys themselves need the other indexes do as well.
"""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


# Django's own, of the names of table and column.
SUFFIXES = {"fan": "29682b26", "conversation": "6ac6d59e", "message": "a6c925a8"}


def foreign_key(model: str, field: str, to: str, **options: Any) -> migrations.operations.base.Operation:
    """`DROP INDEX CONCURRENTLY` waits for nobody's writes, which AlterField's own DROP INDEX does."""
    index = f"crm_{model}_{field}_id_{SUFFIXES[model]}"
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON crm_{model} ({field}_id)",
            )
        ],
        state_operations=[
            migrations.AlterField(model, field, models.ForeignKey(to=f"crm.{to}", db_index=False, **options))
        ],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0009_browser_and_token_sign_ins")]
    operations = [
        foreign_key("fan", "creator", "creator", on_delete=django.db.models.deletion.PROTECT, related_name="fans"),
        foreign_key(
            "conversation",
            "creator",
            "creator",
            on_delete=django.db.models.deletion.PROTECT,
            related_name="conversations",
        ),
        foreign_key(
            "message",
            "conversation",
            "conversation",
            on_delete=django.db.models.deletion.CASCADE,
            related_name="messages",
        ),
    ]
