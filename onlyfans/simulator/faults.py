"""Answers what goes wrong next at the simulator, as a test or a demonstration asked. Touches nothing."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a request ends instead of its own answer."""

    STATUS = "status"  # an answer with `status`, `body` and `retry_after`
    HTML = "html"  # a page of HTML with `status`, 200 unless given
    DROP = "drop"  # the connection closes without an answer
    DELAY = "delay"  # its own answer `delay_ms` late; a message is taken before the wait with `take`, else after it


class On(StrEnum):
    """Which requests a fault is for."""

    SEND = "send"
    USER = "user"
    WHOAMI = "whoami"
    LIST = "list"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests.

    take: a message is taken first, so that only the sender is left without a certain answer. kept: the idempotency key
    remembers the true answer of a message so taken (something in front of the vendor failed, not the vendor itself).
    """

    kind: Kind = Kind.STATUS
    status: int = 500
    retry_after: str | None = None
    body: Any = None
    delay_ms: int = 0
    take: bool = False
    kept: bool = True
    times: int = 1
    on: On = On.SEND
    account: str = ""

    def fits(self, *, on: On, account: str) -> bool:
        return self.on in (On.ANY, on) and self.account in ("", account)


def fault_of(spec: Mapping[str, Any]) -> Fault:
    """A fault from its JSON; raises ValueError with what is wrong."""
    unknown = set(spec) - set(Fault.__dataclass_fields__)
    if unknown:
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}.")
    values = dict(spec)
    values["kind"] = Kind(values.get("kind", Kind.STATUS))
    values["on"] = On(values.get("on", On.SEND))
    values.setdefault("status", 200 if values["kind"] is Kind.HTML else 500)
    if values.get("retry_after") is not None:
        values["retry_after"] = str(values["retry_after"])
    if not all(isinstance(values.get(name, 0), int) for name in ("status", "delay_ms", "times")):
        raise ValueError("status, delay_ms and times are whole numbers.")
    if not 200 <= values["status"] <= 599:
        raise ValueError("status is 200 to 599.")
    return Fault(**values)


class Faults:
    """The faults still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        with self._lock:
            return list(self._waiting)

    def next(self, *, on: On, account: str) -> Fault | None:
        """The first fault for such a request; it has then happened once."""
        with self._lock:
            for position, fault in enumerate(self._waiting):
                if fault.fits(on=on, account=account):
                    if fault.times > 1:
                        self._waiting[position] = replace(fault, times=fault.times - 1)
                    else:
                        del self._waiting[position]
                    return fault
        return None
