"""Answers when a file is imported: at once, or by a worker where it is large. Touches imports by their
use cases."""

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext_noop

from crm.errors import HuntazeError
from crm.job_queue import job_defer
from crm.models import Creator, User
from onlyfans import import_services, selectors
from onlyfans.csv_import import fans_import, filename_clean, overwrite_check, size_check, size_of
from onlyfans.earnings_import import earnings_import
from onlyfans.models import ImportBatch, ImportJob, ImportKind

logger = structlog.get_logger(__name__)
# How often it is told how far an import is, in seconds: as often as a page asks.
TELL_EVERY = 0.5


class ImportStopped(Exception):
    """The worker was told to end, and the job was put back as it was; it is to be run again."""


def import_soon(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    content: IO[bytes],
    kind: ImportKind,
    mapping: Mapping[str, str | None] | None = None,
    overwrite: Collection[str] | None = None,
    day_first: bool | None = None,
    remembered: bool = False,
    dry_run: bool = False,
    on_stored: Callable[[int], None] | None = None,
) -> ImportBatch:
    """Import a file of `kind` at once; over IMPORT_JOB_BYTES it is kept, and its import is queued for a worker.

    Raises as fans_import and earnings_import do for a small file; of a large one only what can be said without reading
    it (TooLarge over IMPORT_MAX_BYTES, InvalidInput), and the rest stands in the import once it has failed.
    `overwrite` and `remembered` are of fans alone.
    """
    if size_of(content) <= settings.IMPORT_JOB_BYTES:
        return _import(
            kind,
            creator=creator,
            user=user,
            filename=filename,
            content=content,
            mapping=mapping,
            overwrite=overwrite,
            day_first=day_first,
            remembered=remembered,
            dry_run=dry_run,
            max_bytes=settings.IMPORT_MAX_BYTES,
            on_stored=on_stored,
        )
    size_check(size_of(content), max_bytes=settings.IMPORT_MAX_BYTES)
    overwrite_check(overwrite)
    with transaction.atomic():
        job = import_services.import_job_create(
            creator=creator,
            user=user,
            filename=filename_clean(filename),
            content=content,
            mapping=mapping,
            overwrite=overwrite,
            day_first=day_first,
            remembered=remembered,
            dry_run=dry_run,
            kind=kind,
        )
        # Two imports of one creator would wait for each other in the database, and take two workers' time for it.
        job_defer(ImportJob.NAME, queue=ImportJob.QUEUE, lock=f"imports of {creator.pk}", import_id=job.batch_id)
        if on_stored is not None:
            on_stored(job.batch_id)
    return job.batch


def import_run(*, import_id: int, stopping: Callable[[], bool]) -> None:
    """Do a queued import. Called again after a crash it begins anew; once it has ended it does nothing.

    All that it stores, that it is done included, is one transaction, so it happened whole or not at all. What is wrong
    with the file stands in the import afterwards; raises ImportStopped where `stopping` says so in time, and what the
    database raises, for which it may be tried again.
    """
    job = import_services.import_job_start(import_id=import_id)
    if job is None:
        return
    try:
        with transaction.atomic():
            if not import_services.import_job_take(job=job):
                return
            with _content(job) as content, _told(job) as tell:

                def progress(done: int, total: int, *, writing: bool = False) -> None:
                    if stopping():
                        raise ImportStopped
                    tell(done, total, writing)

                _import(
                    ImportKind(job.batch.kind),
                    creator=job.batch.creator,
                    user=job.batch.created_by,
                    filename=job.batch.filename,
                    content=content,
                    mapping=job.mapping,
                    overwrite=job.overwrite,
                    day_first=job.day_first,
                    remembered=job.remembered,
                    dry_run=job.dry_run,
                    progress=progress,
                    writing=partial(progress, writing=True),
                    batch=job.batch,
                )
            import_services.import_job_end(job=job)
    except ImportStopped:
        import_services.import_job_release(job=job)
        raise
    except HuntazeError as error:
        import_services.import_job_fail(job=job, error=error)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("import failed", import_id=import_id)
        unknown = HuntazeError(
            gettext_noop("Something went wrong here, and nothing was imported. Try it again."), code="unexpected"
        )
        import_services.import_job_fail(job=job, error=unknown)


def _import(
    kind: ImportKind,
    *,
    overwrite: Collection[str] | None,
    remembered: bool,
    writing: Callable[[int, int], None] | None = None,
    **options: Any,
) -> ImportBatch:
    """As fans_import does or, for transactions, earnings_import, which takes the other options alone."""
    if kind is ImportKind.EARNINGS:
        return earnings_import(**options)
    return fans_import(overwrite=overwrite, remembered=remembered, writing=writing, **options).batch


@contextmanager
def _content(job: ImportJob) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        for part in selectors.import_parts(job):
            file.write(part)
        yield file


@contextmanager
def _told(job: ImportJob) -> Iterator[Callable[[int, int, bool], None]]:
    """How far it is, told on a connection of its own: what its transaction writes nobody sees before the end."""

    def store(done: int, total: int, writing: bool) -> None:
        try:
            import_services.import_job_progress(job=job, done=done, total=total, writing=writing)
        except DatabaseError as error:
            logger.warning("progress not told", import_id=job.pk, error=type(error).__name__)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        next_at = 0.0

        def tell(done: int, total: int, writing: bool) -> None:
            nonlocal next_at
            if done == total or time.monotonic() >= next_at:
                next_at = time.monotonic() + TELL_EVERY
                thread.submit(store, done, total, writing)

        yield tell
