"""A message knows its campaign, and a conversation whether a fan or a person has written in it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("crm", "0018_undo_earnings")]
    operations = [
        migrations.AddField("message", "campaign_id", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("conversation", "personal", models.BooleanField(db_default=True, default=True)),
    ]
