"""Answers which ports of this machine the local stack may listen on. Touches loopback sockets for a moment."""

import contextlib
import socket
from collections.abc import Mapping
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def ports_choose(wanted: Mapping[str, int], *, host: str = LOOPBACK) -> dict[str, int]:
    """For each name the port that was wanted, or a free one where that is taken (or 0).

    All are held until the last is chosen, so that no two names get the same one.
    """
    with ExitStack() as held:
        return {name: _held(port, host, held) for name, port in wanted.items()}


def _held(port: int, host: str, held: ExitStack) -> int:
    sock = held.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    # As the servers do: a port in TIME_WAIT after the last run is free.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.bind((host, 0))
    return int(sock.getsockname()[1])


def answers(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
