"""Answers an operator who waits: how far a command is. Writes to the terminal alone, nothing where there is none."""

from django.core.management.base import OutputWrapper

# Often enough to be seen, seldom enough not to slow the work.
EVERY = 10


class Progress:
    """One line on stderr that counts; called with the number done so far."""

    def __init__(self, stream: OutputWrapper, what: str, *, total: int | None = None) -> None:
        self._stream = stream if stream.isatty() else None
        self._what = what
        self._of = "" if total is None else f" of {total}"
        self._done = 0

    def __call__(self, done: int, total: int | None = None) -> None:
        """`total` as soon as it is known."""
        self._done = done
        if total is not None:
            self._of = f" of {total}"
        if total is not None or done == 1 or done % EVERY == 0:
            self._write(f"\r{done}{self._of} {self._what}", ending="")

    def close(self) -> None:
        if self._done:
            self._write(f"\r{self._done}{self._of} {self._what}", ending="\n")
            self._done = 0

    def _write(self, text: str, *, ending: str) -> None:
        if self._stream is not None:
            self._stream.write(text, str, ending)
            self._stream.flush()
