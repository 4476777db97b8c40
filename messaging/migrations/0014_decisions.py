"""What a person decided about a message, what reading its chat back found, and the indexes of the list of messages."""

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

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
DECISIONS = [
    ("cancelled", "Cancelled"),
    ("arrived", "It arrived"),
    ("resent", "Sent again"),
    ("dismissed", "Dismissed"),
]
FOUND = [
    ("notThere", "Not in the chat"),
    ("unclear", "A message like it is in the chat"),
    ("unreadable", "The chat could not be read"),
]
DECIDER = "delivery_decided_by_user"
# Django's own name of the index of the key to the fan.
OF_THE_FAN = "messaging_delivery_fan_id_3a6a9a15"


def decided_by(**options: bool) -> models.ForeignKey:
    return models.ForeignKey(
        to=settings.AUTH_USER_MODEL,
        on_delete=django.db.models.deletion.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        **options,
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("crm", "0017_message_dismissed"),
        ("messaging", "0013_unsettled_of_a_creator"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField("sendingprofile", "queue_refused_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField(
            "delivery", "decision", models.CharField(max_length=10, choices=DECISIONS, blank=True, default="", db_default="")
        ),
        migrations.AddField("delivery", "decided_at", models.DateTimeField(null=True, blank=True)),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AddField("delivery", "decided_by", decided_by(db_constraint=False)),
                migrations.RunSQL(
                    f"ALTER TABLE messaging_delivery ADD CONSTRAINT {DECIDER} FOREIGN KEY (decided_by_id)"
                    " REFERENCES crm_user (id) DEFERRABLE INITIALLY DEFERRED NOT VALID",
                    f"ALTER TABLE messaging_delivery DROP CONSTRAINT {DECIDER}",
                ),
                migrations.RunSQL(
                    f"ALTER TABLE messaging_delivery VALIDATE CONSTRAINT {DECIDER}", migrations.RunSQL.noop
                ),
            ],
            state_operations=[migrations.AddField("delivery", "decided_by", decided_by())],
        ),
        migrations.AddField(
            "delivery",
            "read_back_found",
            models.CharField(max_length=10, choices=FOUND, blank=True, default="", db_default=""),
        ),
        migrations.AddField("delivery", "read_back_count", models.PositiveIntegerField(null=True, blank=True)),
        migrations.AlterField(
            "delivery", "state", models.CharField(max_length=20, choices=STATES, default="pending")
        ),
        migrations.RemoveConstraint("delivery", "delivery_state_known"),
        AddConstraintNotValid(
            "delivery",
            models.CheckConstraint(
                condition=Q(state__in=[name for name, _ in STATES[1:]]), name="delivery_state_known"
            ),
        ),
        ValidateConstraint("delivery", "delivery_state_known"),
        AddIndexConcurrently(
            "delivery", models.Index("creator", "kind", "state", "message", name="delivery_in_list")
        ),
        AddIndexConcurrently("delivery", models.Index("fan", "message", name="delivery_by_fan")),
        AddIndexConcurrently(
            "delivery",
            models.Index(
                "decided_by", name="delivery_by_decider", condition=models.Q(("decided_by__isnull", False))
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {OF_THE_FAN}",
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {OF_THE_FAN} ON messaging_delivery (fan_id)",
                )
            ],
            state_operations=[
                migrations.AlterField(
                    "delivery",
                    "fan",
                    models.ForeignKey(
                        to="crm.fan",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        db_index=False,
                    ),
                )
            ],
        ),
    ]
