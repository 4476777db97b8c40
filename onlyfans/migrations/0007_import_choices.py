from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("onlyfans", "0006_import_row_of_deleted_fan"),
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
