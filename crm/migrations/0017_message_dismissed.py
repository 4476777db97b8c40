"""A message that failed or is in doubt can be dismissed; what one of a creator's people wrote is listed by an index."""

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

OUTBOUND = ["pending", "queued", "parked", "sending", "sent", "unknown", "failed", "cancelled"]
STATES = [
    ("received", "Received"),
    ("pending", "Pending"),
    ("queued", "Queued"),
    ("parked", "Waiting for its time"),
    ("sending", "Sending"),
    ("sent", "Sent"),
    ("unknown", "Unknown"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
    ("dismissed", "Dismissed"),
    ("bypassed", "Not sent: sending is off"),
]
# Django's own name of the key's index.
OF_THE_KEY = "crm_message_sender_id_c58835b8"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0016_plurals")]
    operations = [
        migrations.AlterField("message", "status", models.CharField(max_length=20, choices=STATES)),
        migrations.RemoveConstraint("message", "message_status_fits_direction"),
        AddConstraintNotValid(
            "message",
            models.CheckConstraint(
                condition=Q(direction="in", status="received")
                | Q(direction="out", status__in=(*OUTBOUND, "dismissed", "bypassed")),
                name="message_status_fits_direction",
            ),
        ),
        ValidateConstraint("message", "message_status_fits_direction"),
        AddIndexConcurrently(
            "message",
            models.Index(
                "sender", "creator", "id", name="message_by_sender", condition=models.Q(("sender__isnull", False))
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {OF_THE_KEY}",
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {OF_THE_KEY} ON crm_message (sender_id)",
                )
            ],
            state_operations=[
                migrations.AlterField(
                    "message",
                    "sender",
                    models.ForeignKey(
                        to=settings.AUTH_USER_MODEL,
                        on_delete=django.db.models.deletion.SET_NULL,
                        null=True,
                        blank=True,
                        related_name="+",
                        db_index=False,
                    ),
                )
            ],
        ),
    ]
