"""Answers which jobs of the OnlyFans boundary a worker does, and when. Touches what the use cases touch."""

from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import JobAborted

from onlyfans.import_jobs import JOB, QUEUE, ImportStopped, import_run


# How often an import is begun at most is counted by itself, since it is told to people.
@app.task(name=JOB, queue=QUEUE, pass_context=True, retry=RetryStrategy(linear_wait=5))
def run_import(context: JobContext, *, import_id: int) -> None:
    try:
        import_run(import_id=import_id, stopping=context.should_abort)
    except ImportStopped as stopped:
        raise JobAborted from stopped
