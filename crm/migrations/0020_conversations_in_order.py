"""The indexes of the inbox begin with whether a fan or a person has written in a conversation.

They are built and the others dropped beside whoever writes. The version before sorts its page as long as it runs.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

ORDER = (models.F("creator"), models.F("personal").desc(), models.F("last_message_at").desc(), models.F("id").desc())


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0019_campaigns_in_conversations")]
    operations = [
        AddIndexConcurrently(
            "conversation",
            models.Index(*ORDER, name="conversation_in_order", condition=models.Q(archived=False)),
        ),
        AddIndexConcurrently(
            "conversation",
            models.Index(
                *ORDER,
                name="conversation_unread_in_order",
                condition=models.Q(archived=False, unread_count__gt=0),
            ),
        ),
        RemoveIndexConcurrently("conversation", "conversation_by_last"),
        RemoveIndexConcurrently("conversation", "conversation_unread"),
    ]
