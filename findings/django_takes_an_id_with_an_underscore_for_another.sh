#!/usr/bin/env bash
# The id 12_34 is taken for 1234 by Django's form, REST framework and django-import-export, in fields for whole numbers.
#
# Versions: Django 5.2.19, djangorestframework 3.18.3, django-import-export 4.4.3, tablib 3.10.0, Python 3.11.
#
# All three end in Python's int() or Decimal(), which allow an underscore between digits as source code does. Ids that are
# made of two numbers (account and fan) look so in the files of shops. A column of them is not refused as text but
# imported, and the row updates or credits fan 1234, who is somebody else; "1_000" as money passes, "1,000" does not.
#
# Output seen:
#   form: 1234
#   REST framework: 1234
#   django-import-export: row update, fan 1234 now has 99 cents
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'Django==5.2.19' 'djangorestframework==3.18.3' 'django-import-export==4.4.3' 'tablib==3.10.0'
cat > probe.py <<'PY'
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["import_export", "rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

import tablib
from django import forms
from django.db import connection, models
from import_export.resources import ModelResource
from rest_framework import serializers


class Fan(models.Model):
    number = models.IntegerField(unique=True)
    cents = models.IntegerField()

    class Meta:
        app_label = "import_export"  # any app that is installed


class FanResource(ModelResource):
    class Meta:
        model = Fan
        fields = ["number", "cents"]
        import_id_fields = ["number"]


with connection.schema_editor() as editor:
    editor.create_model(Fan)
print("form:", forms.IntegerField().clean("12_34"))
print("REST framework:", serializers.IntegerField().run_validation("12_34"))
Fan.objects.create(number=1234, cents=1250)
rows = tablib.Dataset().load("number,cents\n12_34,99\n", format="csv")
result = FanResource().import_data(rows, dry_run=False)
fan = Fan.objects.get()
kind = result.rows[0].import_type
print(f"django-import-export: row {kind}, fan {fan.number} now has {fan.cents} cents")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
form: 1234
REST framework: 1234
django-import-export: row update, fan 1234 now has 99 cents
EOF
