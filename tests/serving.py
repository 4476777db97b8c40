"""Answers over HTTP as in production, by an ASGI server in a thread beside the test. Touches one port of this machine.

pytest-django's own `live_server` speaks WSGI, which has no live stream.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from django.core.asgi import get_asgi_application

from crm.wake_ups import Switchboard


@contextlib.contextmanager
def serving(*, port: int = 0) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    listening = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(get_asgi_application(), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="asgi", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("The server did not start.")
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        Switchboard.end_all()
        server.should_exit = True
        thread.join(10)
        listening.close()
