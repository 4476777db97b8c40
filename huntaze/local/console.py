"""Answers how the local stack speaks on a terminal: lines, colours, one table. Touches standard output alone."""

import contextlib
import sys
from collections.abc import Sequence

from huntaze import env

# Readable on dark and on light backgrounds; black, white and plain yellow are not.
COLOURS = (36, 35, 32, 34, 33, 96, 95, 92)


def say(text: str = "") -> None:
    """Write one line. A terminal that has gone away is no reason to leave processes behind."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def colours_wanted() -> bool:
    """Only where a person looks on, and not where https://no-color.org says no."""
    return sys.stdout.isatty() and not env.text("NO_COLOR")


def painted(text: str, number: int, *, colours: bool) -> str:
    """`text` in the colour of the `number`th part."""
    return f"\033[{COLOURS[number % len(COLOURS)]}m{text}\033[0m" if colours else text


def table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Two aligned columns under a title; a row with an empty name continues the one above."""
    width = max(len(name) for name, _ in rows)
    rule = "-" * max(len(title), *(width + 2 + len(value) for _, value in rows))
    lines = [f"{name:<{width}}  {value}".rstrip() for name, value in rows]
    return "\n".join(["", title, rule, *lines, rule])
