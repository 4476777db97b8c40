from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0005_delivery_read_back"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="key_generation",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="delivery",
            name="key_in_doubt",
            field=models.BooleanField(db_default=False, default=False),
        ),
        # Of what was begun before, nothing says how it ended.
        migrations.RunSQL(
            "UPDATE messaging_delivery SET key_in_doubt = true"
            " WHERE first_attempt_at IS NOT NULL AND state NOT IN ('sent', 'cancelled', 'bypassed')",
            migrations.RunSQL.noop,
        ),
    ]
