"""What is open or in trouble of one creator gets an index; the key's own goes, which delivery_by_finish begins with.

The page's status read all that the creator ever sent, or all that anybody waits for.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

UNSETTLED = ["pending", "queued", "parked", "sending", "failed", "unknown"]
# Django's own name of it.
OF_THE_KEY = "messaging_delivery_creator_id_6def5364"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0016_plurals"), ("messaging", "0012_operators_search")]
    operations = [
        AddIndexConcurrently(
            "delivery",
            models.Index(
                models.F("creator"),
                models.F("due_at"),
                condition=models.Q(("state__in", UNSETTLED)),
                name="delivery_unsettled_by_creator",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {OF_THE_KEY}",
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {OF_THE_KEY} ON messaging_delivery (creator_id)",
                )
            ],
            state_operations=[
                migrations.AlterField(
                    "delivery",
                    "creator",
                    models.ForeignKey(
                        to="crm.creator",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        db_index=False,
                    ),
                )
            ],
        ),
    ]
