from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0012_audit_trail'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='language',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=10),
        ),
    ]
