#!/usr/bin/env bash
# django-import-export stores False where a file says "yes" and the column is a BooleanField, without an error.
#
# Versions: django-import-export 4.4.3, tablib 3.10.0, Django 5.2.19, Python 3.11.
#
# The widget of a BooleanField knows six words for true (1, true and its spellings) and takes every other text for false:
# "yes", "on", "x", "oui", "2", and what is no answer at all. Its own export writes 1 and 0, so a round trip hides it; a
# file from people says yes and no, and each subscriber in it becomes a non-subscriber.
#
# Output seen:
#   TRUE: errors 0, stored True
#   yes: errors 0, stored False
#   on: errors 0, stored False
#   not known: errors 0, stored False
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


class Fan(models.Model):
    name = models.CharField(max_length=9, primary_key=True)
    subscribed = models.BooleanField()

    class Meta:
        app_label = "import_export"  # any app that is installed


class FanResource(ModelResource):
    class Meta:
        model = Fan
        import_id_fields = ["name"]


with connection.schema_editor() as editor:
    editor.create_model(Fan)
for given in ("TRUE", "yes", "on", "not known"):
    Fan.objects.all().delete()
    result = FanResource().import_data(tablib.Dataset(("a", given), headers=["name", "subscribed"]), dry_run=False)
    errors = len(result.row_errors()) + len(result.invalid_rows)
    print(f"{given}: errors {errors}, stored {Fan.objects.get().subscribed}")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
TRUE: errors 0, stored True
yes: errors 0, stored False
on: errors 0, stored False
not known: errors 0, stored False
EOF
