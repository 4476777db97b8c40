"""Rows that an import did not store get a table of their own, so that neither writing nor reading them holds them all."""

import django.db.models.deletion
from django.db import migrations, models

MOVE = """
INSERT INTO onlyfans_importrow (batch_id, line, problems, cells)
SELECT DISTINCT ON (batch.id, (entry ->> 'row')::int)
    batch.id, (entry ->> 'row')::int, entry -> 'problems', entry -> 'raw'
FROM onlyfans_importbatch AS batch, jsonb_array_elements(batch.rejected) AS entry;
INSERT INTO onlyfans_importrow (batch_id, line, overtaken_by, problems, cells)
SELECT batch.id, (notice ->> 'row')::int, substring(notice ->> 'text' FROM 'line ([0-9]+)')::int, '[]', '[]'
FROM onlyfans_importbatch AS batch, jsonb_array_elements(batch.notices) AS notice
WHERE notice ->> 'row' IS NOT NULL
ON CONFLICT DO NOTHING;
UPDATE onlyfans_importbatch AS batch SET notices = (
    SELECT coalesce(jsonb_agg(notice), '[]') FROM jsonb_array_elements(batch.notices) AS notice
    WHERE notice ->> 'row' IS NULL
);
"""


class Migration(migrations.Migration):
    dependencies = [("onlyfans", "0003_sync_state")]

    operations = [
        migrations.CreateModel(
            name="ImportRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("line", models.PositiveIntegerField()),
                ("overtaken_by", models.PositiveIntegerField(blank=True, null=True)),
                ("problems", models.JSONField(default=list)),
                ("cells", models.JSONField(default=list)),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="onlyfans.importbatch",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "line"), name="import_row_once_per_line"),
                ],
            },
        ),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="importbatch", name="rejected"),
    ]
