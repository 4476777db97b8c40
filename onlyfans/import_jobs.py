"""Answers when a file is imported: at once, or by a worker where it is large. Touches imports by their
use cases."""

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
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
from onlyfans.csv_import import (
    fans_import,
    file_preview,
    filename_clean,
    headers_known,
    overwrite_check,
    size_check,
    size_of,
)
from onlyfans.csv_layout import Layout
from onlyfans.csv_reader import Sheet, sheet_open
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
    kind: ImportKind | None,
    mapping: Mapping[str, str | None] | None = None,
    overwrite: Collection[str] | None = None,
    day_first: bool | None = None,
    decimal_mark: str | None = None,
    layout: Layout | None = None,
    remembered: bool = False,
    dry_run: bool = False,
    on_stored: Callable[[int], None] | None = None,
) -> ImportBatch:
    """Import a file of `kind` at once; over IMPORT_JOB_BYTES it is kept, and its import is queued for a worker.

    Without a `kind` it is the one that the file looks like, and of transactions without a `mapping` as remembered.

    Raises as fans_import and earnings_import do for a small file; of a large one only what can be said without reading
    it (TooLarge over IMPORT_MAX_BYTES, InvalidInput), and the rest stands in the import once it has failed.
    `overwrite` and `remembered` are of fans alone.
    """
    size_check(size_of(content), max_bytes=settings.IMPORT_MAX_BYTES)
    with ExitStack() as stack:
        is_small = size_of(content) <= settings.IMPORT_JOB_BYTES
        source: IO[bytes] | Sheet = content
        if kind is None:
            overwrite_check(overwrite)
            source = stack.enter_context(sheet_open(content, recognised=headers_known, asked=layout))
            found = file_preview(creator=creator, content=source)
            kind = found.kind
            # That of transactions is remembered here, that of fans by the import itself.
            mapping = found.mapping if mapping is None and kind is ImportKind.EARNINGS else mapping
        if is_small:
            return _import(
                kind,
                creator=creator,
                user=user,
                filename=filename,
                content=source,
                mapping=mapping,
                overwrite=overwrite,
                day_first=day_first,
                decimal_mark=decimal_mark,
                layout=layout,
                remembered=remembered,
                dry_run=dry_run,
                max_bytes=settings.IMPORT_MAX_BYTES,
                on_stored=on_stored,
            )
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
            layout={name: value for name, value in asdict(layout or Layout()).items() if value is not None},
            decimal_mark=decimal_mark or "",
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
                    decimal_mark=job.decimal_mark or None,
                    layout=Layout(**job.layout),
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
