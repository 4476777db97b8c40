from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("onlyfans", "0007_webhook_registered_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="importbatch",
            name="overwrite",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="importbatch",
            name="day_first",
            field=models.BooleanField(blank=True, null=True),
        ),
    ]
