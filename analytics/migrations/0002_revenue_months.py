import django.db.models.deletion
from django.db import migrations, models

# A view: nothing is stored, and no table is locked.
VIEW = """
CREATE VIEW analytics_revenuemonth AS
SELECT creator_id || '-' || currency || '-' || to_char(date_trunc('month', day), 'YYYY-MM') AS id,
       creator_id, currency, date_trunc('month', day)::date AS month, sum(count)::bigint AS count,
       sum(gross_cents)::bigint AS gross_cents, sum(fee_cents)::bigint AS fee_cents,
       sum(net_cents)::bigint AS net_cents, sum(loading_net_cents)::bigint AS loading_net_cents,
       sum(taken_back_net_cents)::bigint AS taken_back_net_cents
FROM analytics_revenueday GROUP BY creator_id, currency, date_trunc('month', day)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('analytics', '0001_revenue_days'),
    ]

    operations = [
        migrations.CreateModel(
            name='RevenueMonth',
            fields=[
                ('id', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('creator', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='crm.creator')),
                ('currency', models.CharField(max_length=3)),
                ('month', models.DateField()),
                ('count', models.BigIntegerField()),
                ('gross_cents', models.BigIntegerField()),
                ('fee_cents', models.BigIntegerField()),
                ('net_cents', models.BigIntegerField()),
                ('loading_net_cents', models.BigIntegerField()),
                ('taken_back_net_cents', models.BigIntegerField()),
            ],
            options={
                'verbose_name': 'revenue of a month',
                'verbose_name_plural': 'revenue by month',
                'managed': False,
            },
        ),
        migrations.RunSQL(VIEW, "DROP VIEW analytics_revenuemonth"),
    ]
