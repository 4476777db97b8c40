"""Answers how every app's jobs are kept going: what a dead worker left, what is done. Touches the table of jobs."""

from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status

QUEUE = "upkeep"
# Three beats of a worker's heart (10 s each).
STALLED_SECONDS = 30
KEPT_HOURS = 7 * 24


@app.periodic(cron="* * * * *")
@app.task(name="huntaze.rescue_jobs", queue=QUEUE, queueing_lock="huntaze.rescue_jobs", pass_context=True)
async def rescue_jobs(context: JobContext, timestamp: int) -> None:
    """Begin again what was running in a worker whose heart has stopped, after a kill or a crash of its host."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        try:
            await manager.retry_job(job)
        except UniqueViolation:
            # Another one waits under its queueing lock and does the same; the next that is stalled has its turn.
            await manager.finish_job(job, Status.FAILED, delete_job=False)


@app.periodic(cron="17 3 * * *")
@app.task(name="huntaze.forget_jobs", queue=QUEUE, queueing_lock="huntaze.forget_jobs", pass_context=True)
async def forget_jobs(context: JobContext, timestamp: int) -> None:
    await context.app.job_manager.delete_old_jobs(
        nb_hours=KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )
