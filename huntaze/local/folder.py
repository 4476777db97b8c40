"""Answers where the local stack keeps its files and who runs it now. Touches `.local/` and its shelter in /var/tmp."""

# PostgreSQL refuses to run as root. For root its files must lie where an unprivileged user can reach them; a checkout
# under /root is no such place, and then a shelter under /var/tmp, named by a hash, takes them in.

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huntaze import env

SHELTERS = Path("/var/tmp")  # noqa: S108  each shelter under it is checked to be ours before anything is put there

KEPT = (
    "postgres",
    "valkey",
    "sqs",
    "secret_key",
    "encryption_salt",
    "stack.env",
    "prepared",
    *(f"simulator.sqlite3{ending}" for ending in ("", "-wal", "-shm", "-journal")),
)


class StackRefused(Exception):
    """Something a person has to see to; the text says what."""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The unprivileged user that PostgreSQL runs as when we are root."""

    uid: int
    gid: int


def run_as() -> RunAs | None:
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid)
    raise StackRefused("PostgreSQL cannot run as root, and there is no user `nobody`. Run make as another user.")


def local_dir() -> Path:
    """`.local` of the checkout, or what HUNTAZE_LOCAL_DIR names."""
    return (env.BASE_DIR / env.text("HUNTAZE_LOCAL_DIR", default=".local")).resolve()


def reachable(path: Path) -> bool:
    """Whether every user may walk to `path` (which need not exist yet)."""
    return all(not folder.exists() or folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def folder_make(path: Path) -> Path:
    """Make our folder; for root others may walk through it (its secret files are 0600), else it is ours alone."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return path


def shelter(key: Path) -> Path:
    """The folder under /var/tmp that stands for `key`; not made yet."""
    return SHELTERS / f"huntaze-{hashlib.sha256(str(key).encode()).hexdigest()[:16]}"


def shelter_make(key: Path) -> Path:
    """Make the shelter of `key`. Raises StackRefused when somebody else has made a thing of that name before us."""
    path = shelter(key)
    path.mkdir(mode=0o711, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StackRefused(f"{path} is not ours. Remove it and try again.")
    path.chmod(0o711)
    return path


def postgres_home(local: Path) -> Path:
    """Where the cluster of this local folder lives."""
    home = local / "postgres"
    return home if run_as() is None or reachable(home) else shelter_make(local) / "postgres"


def kept_secret(path: Path) -> str:
    """A random text that is made once and kept in a file only we can read."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="ascii").strip()


def clear(local: Path) -> None:
    """Delete what the stack keeps, by name: a folder that HUNTAZE_LOCAL_DIR names may hold other things too."""
    for path in (*(local / name for name in KEPT), shelter(local), shelter(env.BASE_DIR)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def lock(local: Path) -> Iterator[Path]:
    """Hold the folder for this process; the kernel lets go of it however the process ends.

    Gives the lock file, into which `lock_note` writes. Raises StackRefused when another process holds it.
    """
    path = local / "lock"
    if local.exists() and any(local.iterdir()) and not path.exists():
        raise StackRefused(f"{local} holds files that are not the stack's. Name another folder by HUNTAZE_LOCAL_DIR.")
    folder_make(local)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackRefused(f"The stack of this checkout runs already: {_running(path)}") from None
        lock_note(path, "starting")
        yield path
        path.write_text("", encoding="utf-8")


def lock_note(path: Path, where: str) -> None:
    """Say in the lock file who holds it and where it answers."""
    path.write_text(json.dumps({"pid": os.getpid(), "where": where}), encoding="utf-8")


def _running(path: Path) -> str:
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return f"process {noted['pid']}, {noted['where']}. Stop it with Ctrl-C in its terminal."
    except (ValueError, KeyError):
        return "it is just starting."
