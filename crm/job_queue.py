"""Answers how work is left to a worker: a job by its name, in the caller's transaction. Touches procrastinate's tables.

What the jobs do stands in each app's jobs.py, above whoever leaves them; `manage.py run_jobs` does them.
"""

from procrastinate.contrib.django import app
from procrastinate.types import JSONValue


def job_defer(name: str, *, queue: str, lock: str | None = None, **arguments: JSONValue) -> None:
    """Leave the job to a worker once the transaction is committed; of those with one `lock` one runs at a time.

    `name` and `queue` are those that the job's jobs.py says.
    """
    app.configure_task(name, allow_unknown=False, lock=lock, queue=queue).defer(**arguments)
