"""Answers with a worker that sends while a test goes on. Touches the test's queue, Redis and database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from messaging.worker import Worker


@contextmanager
def sending() -> Iterator[None]:
    """A worker in a thread, because moto's queue lives in this process."""
    stopping = threading.Event()

    def run() -> None:
        worker = Worker(concurrency=2)
        handing_out = threading.Thread(target=worker.hand_out, name="hand out")
        handing_out.start()
        while not stopping.wait(0.1):
            worker.poll(wait_seconds=0)
            worker.acknowledge()
        worker.drain()
        handing_out.join()
        connection.close()

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
