#!/usr/bin/env bash
# A timestamp that Django keeps in a JSONField with DjangoJSONEncoder is earlier than the row it was taken from.
#
# Versions: Django 5.2.19, djangorestframework 3.18.3, Python 3.11.
#
# The encoder cuts microseconds off after the thousandth, the DateTimeField next to it keeps them. "Everything newer than
# the last one I saw" then finds the last one again on every pass: a job that imports or sends by such a mark repeats its
# last row for ever, and a page cursor made with JsonResponse gives the row twice. REST framework's own encoder keeps
# all six digits, so the two kinds of view in one project name different times for one row.
#
# Output seen:
#   in the row: 2026-11-02 03:04:05.123456+00:00
#   in the JSONField: 2026-11-02T03:04:05.123Z
#   rows newer than the mark of the last row: 1
#   JsonResponse: {"at": "2026-11-02T03:04:05.123Z"}
#   REST framework: {"at":"2026-11-02T03:04:05.123456Z"}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'Django==5.2.19' 'djangorestframework==3.18.3'
cat > probe.py <<'PY'
from datetime import UTC, datetime

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.http import JsonResponse
from django.utils.dateparse import parse_datetime
from rest_framework.renderers import JSONRenderer


class Sale(models.Model):
    at = models.DateTimeField()

    class Meta:
        app_label = "rest_framework"  # any app that is installed


class Job(models.Model):
    state = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        app_label = "rest_framework"


with connection.schema_editor() as editor:
    editor.create_model(Sale)
    editor.create_model(Job)
Sale.objects.create(at=datetime(2026, 11, 2, 3, 4, 5, 123456, tzinfo=UTC))
last = Sale.objects.latest("at")
Job.objects.create(state={"seen": last.at})
seen = Job.objects.get().state["seen"]
print("in the row:", last.at)
print("in the JSONField:", seen)
print("rows newer than the mark of the last row:", Sale.objects.filter(at__gt=parse_datetime(seen)).count())
print("JsonResponse:", JsonResponse({"at": last.at}).content.decode())
print("REST framework:", JSONRenderer().render({"at": last.at}).decode())
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
in the row: 2026-11-02 03:04:05.123456+00:00
in the JSONField: 2026-11-02T03:04:05.123Z
rows newer than the mark of the last row: 1
JsonResponse: {"at": "2026-11-02T03:04:05.123Z"}
REST framework: {"at":"2026-11-02T03:04:05.123456Z"}
EOF
