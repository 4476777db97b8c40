"""Answers which jobs of the OnlyFans boundary a worker does, and when. Touches what the use cases touch.

Every process loads this module when it starts, so what a job needs (the vendor's client takes most of a second) is
imported where it runs.
"""

from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import JobAborted

from onlyfans.models import ImportJob


# How often an import is begun at most is counted by itself, since it is told to people.
@app.task(name=ImportJob.NAME, queue=ImportJob.QUEUE, pass_context=True, retry=RetryStrategy(linear_wait=5))
def run_import(context: JobContext, *, import_id: int) -> None:
    from onlyfans.import_jobs import ImportStopped, import_run

    try:
        import_run(import_id=import_id, stopping=context.should_abort)
    except ImportStopped as stopped:
        raise JobAborted from stopped
