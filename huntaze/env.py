"""Answers what the environment says, typed. Touches os.environ and the env files, as the only module that does.

Precedence, first wins: the process environment, `.env`, what the local stack wrote (`.local/stack.env`). Every reader
also accepts NAME_FILE, the path of a file that holds the value, so that a secret need not stand in the environment.
"""

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def env_files_load(base_dir: Path = BASE_DIR) -> None:
    """Read `.env`, then what the running local stack wrote; HUNTAZE_ENV_FILES=false reads neither."""
    if not boolean("HUNTAZE_ENV_FILES", default=True):
        return
    local = base_dir / text("HUNTAZE_LOCAL_DIR", default=".local")
    for path in (base_dir / ".env", local / "stack.env"):
        if path.is_file():
            known = set(os.environ)
            environ.Env.read_env(path, overwrite=False)
            # A blank line sets nothing: neither for the next file nor for libraries that look there themselves.
            for name in os.environ.keys() - known:
                if not os.environ[name].strip():
                    del os.environ[name]


def text(name: str, *, default: str = "") -> str:
    """The value of `name`, or of the file that NAME_FILE names; empty counts as not set."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return default
    try:
        return Path(path).read_text(encoding="utf-8").strip() or default
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error


def boolean(name: str, *, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def integer(name: str, *, default: int, minimum: int, maximum: int) -> int:
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name} must be between {minimum} and {maximum}, not {number}.")
    return number


def seconds(name: str, *, default: float, minimum: float, maximum: float) -> float:
    """A duration in seconds."""
    value = text(name)
    if not value:
        return default
    try:
        number = float(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number of seconds, not {value!r}.") from error
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name} must be between {minimum:g} and {maximum:g} seconds, not {number:g}.")
    return number


def items(name: str, *, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list; blanks are dropped."""
    value = text(name)
    return [part.strip() for part in value.split(",") if part.strip()] if value else list(default)


def address(name: str, *, default: str = "") -> str:
    """The http or https URL of a server."""
    value = text(name)
    if not value:
        return default
    if not value.startswith(("http://", "https://")) or _url_parts(value) is None:
        raise ImproperlyConfigured(f"{name} must be a URL such as https://api.example.com, not {value!r}.")
    return value


def region(name: str) -> str:
    """An AWS region's name, or what an emulator has in its place."""
    value = text(name)
    if value and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        raise ImproperlyConfigured(f"{name} must be the name of an AWS region such as eu-west-3, not {value!r}.")
    return value


def queue_url(name: str) -> str:
    """The URL of an SQS queue: its last two parts are the account's number and the queue's name."""
    value = text(name)
    parts = _url_parts(value) if value.startswith(("http://", "https://")) else None
    if value and (parts is None or not re.fullmatch(r"(/[\w.-]+){2,}", parts.path)):
        example = "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue"
        raise ImproperlyConfigured(f"{name} must be the queue's URL such as {example}, not {value!r}.")
    return value


def origins(name: str) -> list[str]:
    """A comma-separated list of origins, in lower case as browsers send them; huntaze.E002 judges their form."""
    return [origin.lower() for origin in items(name)]


def _url_parts(value: str) -> SplitResult | None:
    """The parts of a URL that names a host and, if any, a port that can be one; None for any other."""
    try:
        parts = urlsplit(value)
        return parts if parts.hostname and parts.port != 0 and not re.search(r"\s", value) else None
    except ValueError:
        return None


def database(name: str) -> dict[str, object]:
    """The Django database dictionary of a postgres:// URL.

    Raises ImproperlyConfigured when the variable is missing, is no URL, or names another database.
    """
    value = text(name)
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. Start everything with `make run`, or set it as .env.example shows."
        )
    config = dict(environ.Env.db_url_config(value))
    if config.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"{name} must be a postgres:// URL.")
    return config


def redis_url(name: str, *, auth: str, tls: str) -> str:
    """A redis:// or rediss:// URL from `host:port` (as ElastiCache prints it) or from a URL; empty when not set.

    The value is not repeated in an error: it may hold a password.
    """
    endpoint = text(name)
    if not endpoint:
        return ""
    wrong = ImproperlyConfigured(
        f"{name} must be host:port, redis://host:port/0 or rediss://host:port/0, for instance cache.example.com:6379."
    )
    if "://" in endpoint:
        if not endpoint.startswith(("redis://", "rediss://")):
            raise wrong
        scheme, rest = endpoint.split("://", 1)
    else:
        scheme, rest = ("rediss" if boolean(tls, default=False) else "redis"), endpoint
    # A URL may leave the port to its scheme; a bare name without one is half of host:port.
    parts = _url_parts(f"redis://{rest}")
    if parts is None or not (parts.port or "://" in endpoint) or not re.fullmatch(r"(/\d*)?", parts.path):
        raise wrong
    password = text(auth)
    if password and "@" not in rest:
        rest = f":{quote(password, safe='')}@{rest}"
    return f"{scheme}://{rest}"
