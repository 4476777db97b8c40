import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0010_list_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='QuickReply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shortcut', models.CharField(max_length=30)),
                ('text', models.TextField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('creator', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quick_replies', to='crm.creator')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('creator', 'shortcut'), name='quick_reply_once'),
                    models.CheckConstraint(condition=models.Q(('shortcut__regex', '^[a-z0-9-]{1,30}$')), name='quick_reply_shortcut_typed'),
                ],
            },
        ),
    ]
