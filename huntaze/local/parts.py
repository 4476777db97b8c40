"""Answers what a part of the local stack is and how its process is begun. Touches process creation alone."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huntaze.env import BASE_DIR
from huntaze.local.folder import RunAs

# Parts are stopped from the highest stage down: whoever uses a service ends before it.
SERVICE, APP = 0, 1
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child between fork and exec must not import.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Part:
    """One process to run and look after.

    ready: asked until it says True; it may block for a second. None counts as ready at once.
    before: run ahead of each start, also of a restart.
    after_restart: run once a restarted part is ready again.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stage: int = APP
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when the supervisor itself was killed.
    orphan_signal: signal.Signals = signal.SIGKILL
    user: RunAs | None = None
    cwd: Path = BASE_DIR
    ready: Callable[[], bool] | None = None
    before: Callable[[], None] | None = None
    after_restart: "Part | None" = None
    restarts: bool = True
    # What a quiet part says is kept, and shown only when it ends unasked.
    quiet: bool = False


def popen_options(part: Part) -> dict[str, Any]:
    """Keyword arguments for subprocess or asyncio: own session, unprivileged user, death with the parent.

    The calling thread must live as long as the child: the kernel sends the death signal when the thread that forked
    ends, not when its process does.
    """
    options: dict[str, Any] = {
        "env": dict(part.env) or None,
        "cwd": part.cwd,
        # A Ctrl-C at the terminal reaches the supervisor alone, which then stops the parts in order.
        "start_new_session": True,
        "preexec_fn": _dies_with(os.getpid(), part.orphan_signal),
    }
    return options | identity(part.user)


def identity(user: RunAs | None) -> dict[str, Any]:
    """Keyword arguments for subprocess that leave root behind; none where we are not root."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def _dies_with(parent: int, orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """Run in the child after it has changed its user (which would clear the setting). Linux alone can do this."""
    libc = _LIBC
    if libc is None:
        return None

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def group_signal(pid: int, number: signal.Signals) -> None:
    """Signal the whole session of a part; nothing happens when all of it has gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
