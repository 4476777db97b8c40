from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("onlyfans", "0005_import_undo"),
    ]

    operations = [
        migrations.AddField(
            model_name="importrow",
            name="fan_deleted",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
