"""Replaces the index of fans by value by one that counts a creator's fans without reading them.

It is built and the other dropped beside whoever writes.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0014_operators_search")]
    operations = [
        AddIndexConcurrently(
            "fan",
            models.Index(
                models.F("creator"),
                models.F("value_cents").desc(),
                models.F("id").desc(),
                name="fan_present_by_value",
                condition=models.Q(deleted_at=None),
                include=["last_seen_at"],
            ),
        ),
        RemoveIndexConcurrently("fan", "fan_by_value"),
    ]
