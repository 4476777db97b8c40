"""Answers when the storm began, to every process of a run: once they are all there. Touches one file."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Beginning:
    path: Path

    def begin(self) -> float:
        """Say that it begins now; answers when, in seconds of the epoch."""
        now = time.time()
        half = self.path.with_suffix(".half")
        half.write_text(str(now), encoding="ascii")
        # Seen whole or not at all.
        half.replace(self.path)
        return now

    def at(self) -> float | None:
        """When it began, in seconds of the epoch; None as long as it has not."""
        try:
            return float(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def since(self) -> float | None:
        begun = self.at()
        return None if begun is None else time.time() - begun

    def wait(self) -> float:
        while (begun := self.at()) is None:
            time.sleep(0.05)
        return begun
