#!/usr/bin/env bash
# django-import-export stores 12 where a file says 12.99 and the column is an integer, and reports the row as new.
#
# Versions: django-import-export 4.4.3, tablib 3.10.0, Django 5.2.19, Python 3.11.
#
# The widget of an IntegerField makes an int of a Decimal, which cuts off what is behind the point: no error, no warning,
# in the dry run neither. A project that keeps cents and is handed a file in dollars stores a hundredth of the money, and
# a column of 0.50 becomes 0.
#
# Output seen:
#   12.99 in an IntegerField: row new, errors 0, stored 12
#   0.50 in an IntegerField: row new, errors 0, stored 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'django-import-export==4.4.3' 'tablib==3.10.0' 'Django==5.2.19'
cat > probe.py <<'PY'
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["import_export"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

import tablib
from django.db import connection, models
from import_export.resources import ModelResource


class Sale(models.Model):
    name = models.CharField(max_length=9, primary_key=True)
    cents = models.IntegerField()

    class Meta:
        app_label = "import_export"  # any app that is installed


class SaleResource(ModelResource):
    class Meta:
        model = Sale
        import_id_fields = ["name"]


with connection.schema_editor() as editor:
    editor.create_model(Sale)
for given in ("12.99", "0.50"):
    Sale.objects.all().delete()
    result = SaleResource().import_data(tablib.Dataset(("a", given), headers=["name", "cents"]), dry_run=False)
    errors = len(result.row_errors()) + len(result.invalid_rows)
    print(
        f"{given} in an IntegerField: row {result.rows[0].import_type}, errors {errors},"
        f" stored {Sale.objects.get().cents}"
    )
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
12.99 in an IntegerField: row new, errors 0, stored 12
0.50 in an IntegerField: row new, errors 0, stored 0
EOF
