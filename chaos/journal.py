"""Answers what a producer asked for and what it was told, across its own deaths. Touches one file for each producer."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FINISHED = "finished"


@dataclass(slots=True)
class Asked:
    """One call. Times are seconds of the epoch; `answered_at` is None where no answer came back.

    error: what was raised instead of an answer, except that every message was refused, which `refused` says.
    refused: places in the step of the messages that were answered `failed`.
    """

    step: int
    asked_at: float
    answered_at: float | None = None
    error: str = ""
    refused: list[int] = field(default_factory=list)


class Journal:
    """Lines that are with the kernel before the producer goes on, so that a kill -9 takes none of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> tuple[dict[int, Asked], bool]:
        """The calls by step, and whether the producer has come to its end."""
        asked: dict[int, Asked] = {}
        finished = False
        if not self._path.exists():
            return asked, finished
        for text in self._path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if FINISHED in line:
                finished = True
            elif "asked_at" in line:
                asked[line["step"]] = Asked(step=line["step"], asked_at=line["asked_at"])
            else:
                call = asked[line["step"]]
                call.answered_at, call.error, call.refused = line["answered_at"], line["error"], line["refused"]
        return asked, finished
