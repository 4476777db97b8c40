"""Answers what the simulator remembers: accounts, fans, chats, money, webhooks and its answers to idempotency keys.
Touches its own SQLite file; a message is committed before anybody hears that it was taken."""

import csv
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

KEY_LIFETIME_MS = 24 * 3600 * 1000
# The platform speaks of about 3 s. Two arrivals that left 3 s apart come closer by the jitter of a network.
GAP_TOLERANCE = 0.97

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, api_key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, username TEXT NOT NULL,
    user_id INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS fans (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT NOT NULL, tier TEXT NOT NULL,
    spent_cents INTEGER NOT NULL, last_seen TEXT NOT NULL, subscribed INTEGER
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, fan INTEGER NOT NULL, html TEXT NOT NULL,
    price_cents INTEGER NOT NULL, media TEXT NOT NULL,
    idempotency_key TEXT NOT NULL, received_at INTEGER NOT NULL, replays INTEGER NOT NULL DEFAULT 0,
    from_fan INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (account, received_at);
CREATE INDEX IF NOT EXISTS messages_by_chat ON messages (account, fan, id);
CREATE TABLE IF NOT EXISTS answers (
    account TEXT NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, message INTEGER, stored_at INTEGER NOT NULL, PRIMARY KEY (account, idempotency_key)
);
CREATE TABLE IF NOT EXISTS transactions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, fan INTEGER NOT NULL, kind TEXT NOT NULL,
    cents INTEGER NOT NULL, message INTEGER, paid_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS webhooks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, url TEXT NOT NULL, events TEXT NOT NULL,
    secret TEXT NOT NULL, created_at INTEGER NOT NULL
);
"""
# What a file of an older simulator lacks.
COLUMNS = (("fans", "subscribed", "INTEGER"), ("messages", "from_fan", "INTEGER NOT NULL DEFAULT 0"))


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    api_key: str
    name: str
    username: str
    user_id: int


@dataclass(frozen=True, slots=True)
class Fan:
    id: int
    username: str
    name: str
    tier: str
    spent_cents: int
    last_seen: str
    # None until it changes: the file says nothing of it.
    subscribed: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """Money that a fan paid; `kind` is the vendor's name for it, `message` what was bought."""

    number: int
    account: str
    fan: int
    kind: str
    cents: int
    message: int | None
    paid_at: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the events of an account go, and what they are signed with."""

    number: int
    account: str
    url: str
    events: tuple[str, ...]
    secret: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was taken: `html` is the text as asked for, `received_at` in milliseconds of the epoch."""

    id: int
    account: str
    fan: int
    html: str
    price_cents: int
    media: tuple[str, ...]
    idempotency_key: str
    received_at: int
    replays: int
    from_fan: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an idempotency key was answered, and to which request."""

    request: str
    status: int
    body: str
    message: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the platform allows one account: `messages` in any `window_seconds`, `min_gap_seconds` between two."""

    messages: int = 10
    window_seconds: float = 60.0
    min_gap_seconds: float = 3.0


DEMO_ACCOUNTS = tuple(
    Account(f"acct_demo{number}", f"sim_key_demo{number}", name, username, 900_000_000 + number)
    for number, (name, username) in enumerate(
        (("Ava Noir", "avanoir"), ("Mila Sol", "milasol"), ("Zoe Lune", "zoelune")), 1
    )
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store:
    """One SQLite file, one connection, one lock: the server's thread and a test's may both ask."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A commit is in the file before it returns, so a killed process loses nothing; only a power cut may.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        for table, column, kind in COLUMNS:
            known = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            if column not in known:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def seed(self, *, accounts: Iterable[Account], fans_csv: Path | None, seed: int) -> None:
        """Put the accounts and the file's fans in place; what is there already keeps its ids."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET api_key = excluded.api_key",
                [
                    (account.id, account.api_key, account.name, account.username, account.user_id)
                    for account in accounts
                ],
            )
            taken = {int(row[0]) for row in self._db.execute("SELECT id FROM fans")}
            known = {str(row[0]).lower() for row in self._db.execute("SELECT username FROM fans")}
            for fan in _fans_of(fans_csv) if fans_csv else ():
                if fan.username.lower() not in known:
                    numbered = replace(fan, id=_fan_id(fan.username, seed, taken))
                    taken.add(numbered.id)
                    known.add(fan.username.lower())
                    self._db.execute(
                        "INSERT INTO fans VALUES (?, ?, ?, ?, ?, ?, NULL)",
                        (numbered.id, fan.username, fan.name, fan.tier, fan.spent_cents, fan.last_seen),
                    )

    def forget(self) -> None:
        """Drop all that happened; accounts and fans stay."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("messages", "answers", "transactions", "webhooks"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  a name of ours
            self._db.execute("UPDATE fans SET subscribed = NULL")

    def accounts(self) -> list[Account]:
        return [Account(*row) for row in self._rows("SELECT * FROM accounts ORDER BY id")]

    def fans(self, *, limit: int = -1, offset: int = 0) -> list[Fan]:
        return [Fan(*row) for row in self._rows("SELECT * FROM fans ORDER BY id LIMIT ? OFFSET ?", limit, offset)]

    def fan(self, fan_id: int) -> Fan | None:
        return next((Fan(*row) for row in self._rows("SELECT * FROM fans WHERE id = ?", fan_id)), None)

    def fan_named(self, username: str) -> Fan | None:
        return next((Fan(*row) for row in self._rows("SELECT * FROM fans WHERE username = ?", username)), None)

    def messages(self, *, account: str = "", limit: int = -1) -> list[Message]:
        """Those that were sent to fans, the newest first."""
        rows = self._rows(
            "SELECT * FROM messages WHERE from_fan = 0 AND (account = ? OR ? = '') ORDER BY id DESC LIMIT ?",
            account, account, limit,
        )  # fmt: skip
        return [_message(row) for row in rows]

    def unread(self, *, account: str, fan: int) -> int:
        """What the fan wrote since the last answer."""
        rows = self._rows(
            "SELECT count(*) FROM messages WHERE account = ? AND fan = ? AND from_fan = 1 AND id >"
            " (SELECT coalesce(max(id), 0) FROM messages WHERE account = ? AND fan = ? AND from_fan = 0)",
            account, fan, account, fan,
        )  # fmt: skip
        return int(rows[0][0])

    def fan_subscribe(self, fan_id: int, *, subscribed: bool) -> None:
        with self._lock:
            self._db.execute("UPDATE fans SET subscribed = ? WHERE id = ?", (int(subscribed), fan_id))

    def pay(self, *, account: str, fan: int, kind: str, cents: int, message: int | None = None) -> Transaction:
        """Take a fan's money; the total that the fan spent grows by it."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            number = self._db.execute(
                "INSERT INTO transactions (account, fan, kind, cents, message, paid_at) VALUES (?, ?, ?, ?, ?, ?)",
                (account, fan, kind, cents, message, now_ms()),
            ).lastrowid
            self._db.execute("UPDATE fans SET spent_cents = spent_cents + ? WHERE id = ?", (cents, fan))
        return Transaction(*self._rows("SELECT * FROM transactions WHERE number = ?", number)[0])

    def past_keep(self, *, account: str, paid: Iterable[Transaction]) -> None:
        """Remember payments of the past, in the order given, where none of this account is known."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self.transactions(account=account, kind="", since=0, before=0, limit=1):
                return
            self._db.executemany(
                "INSERT INTO transactions (account, fan, kind, cents, message, paid_at) VALUES (?, ?, ?, ?, ?, ?)",
                [(each.account, each.fan, each.kind, each.cents, each.message, each.paid_at) for each in paid],
            )

    def transactions(self, *, account: str, kind: str, since: int, before: int, limit: int) -> list[Transaction]:
        """The newest first, older than the number `before` (0: from the newest on); an empty kind is every kind."""
        rows = self._rows(
            "SELECT * FROM transactions WHERE account = ? AND (kind = ? OR ? = '') AND paid_at >= ?"
            " AND (number < ? OR ? = 0) ORDER BY number DESC LIMIT ?",
            account, kind, kind, since, before, before, limit,
        )  # fmt: skip
        return [Transaction(*row) for row in rows]

    def webhook_add(self, *, account: str, url: str, events: Iterable[str], secret: str) -> Webhook:
        with self._lock:
            number = self._db.execute(
                "INSERT INTO webhooks (account, url, events, secret, created_at) VALUES (?, ?, ?, ?, ?)",
                (account, url, json.dumps(list(events)), secret, now_ms()),
            ).lastrowid
        return next(each for each in self.webhooks(account=account) if each.number == number)

    def webhooks(self, *, account: str) -> list[Webhook]:
        rows = self._rows("SELECT * FROM webhooks WHERE account = ? ORDER BY number", account)
        return [
            Webhook(number, owner, url, tuple(json.loads(events)), secret, created_at)
            for number, owner, url, events, secret, created_at in rows
        ]

    def webhook_remove(self, *, account: str, number: int) -> bool:
        with self._lock:
            found = self._db.execute("DELETE FROM webhooks WHERE account = ? AND number = ?", (account, number))
            return bool(found.rowcount)

    def chat(self, *, account: str, fan: int, before: int, limit: int) -> list[Message]:
        """One chat's messages older than the id `before` (0: from the newest on), the newest first."""
        rows = self._rows(
            "SELECT * FROM messages WHERE account = ? AND fan = ? AND (id < ? OR ? = 0) ORDER BY id DESC LIMIT ?",
            account, fan, before, before, limit,
        )  # fmt: skip
        return [_message(row) for row in rows]

    def chats(self, *, account: str, limit: int, offset: int) -> list[Message]:
        """The last message of each chat, the newest first."""
        rows = self._rows(
            "SELECT * FROM messages WHERE id IN (SELECT max(id) FROM messages WHERE account = ? GROUP BY fan)"
            " ORDER BY id DESC LIMIT ? OFFSET ?",
            account, limit, offset,
        )  # fmt: skip
        return [_message(row) for row in rows]

    def count(self, *, account: str, since: int = 0) -> int:
        return int(
            self._rows(
                "SELECT count(*) FROM messages WHERE from_fan = 0 AND account = ? AND received_at > ?", account, since
            )[0][0]
        )

    def wait_ms(self, *, account: str, limits: Limits, now: int) -> int:
        """Milliseconds until the platform would take another message of the account; only taken ones count."""
        times = [
            int(row[0])
            for row in self._rows(
                "SELECT received_at FROM messages WHERE from_fan = 0 AND account = ? ORDER BY received_at DESC LIMIT ?",
                account, limits.messages,
            )
        ]  # fmt: skip
        wait = 0
        if times:
            wait = times[0] + int(limits.min_gap_seconds * 1000 * GAP_TOLERANCE) - now
        if len(times) == limits.messages:
            wait = max(wait, times[-1] + int(limits.window_seconds * 1000) - now)
        return max(wait, 0)

    def take(self, message: Message, *, answer: Callable[[Message], Answer] | None) -> Message:
        """Remember a message, and in the same commit the answer to its idempotency key.

        Its id is given here and follows the clock, so that a new file never repeats an id of an old one.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            last = int(self._db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()[0])
            taken = replace(message, id=max(last + 1, message.received_at))
            values = {**asdict(taken), "media": json.dumps(taken.media)}
            self._db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(values.values()))
            if answer and taken.idempotency_key:
                self.keep_answer(
                    account=taken.account,
                    idempotency_key=taken.idempotency_key,
                    answer=answer(taken),
                    now=taken.received_at,
                )
        return taken

    def answer(self, *, account: str, idempotency_key: str, now: int) -> Answer | None:
        rows = self._rows(
            "SELECT request, status, body, message FROM answers"
            " WHERE account = ? AND idempotency_key = ? AND stored_at > ?",
            account, idempotency_key, now - KEY_LIFETIME_MS,
        )  # fmt: skip
        return Answer(*rows[0]) if rows else None

    def keep_answer(self, *, account: str, idempotency_key: str, answer: Answer, now: int) -> None:
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (account, idempotency_key, answer.request, answer.status, answer.body, answer.message, now),
            )

    def count_replay(self, message: int) -> None:
        with self._lock:
            self._db.execute("UPDATE messages SET replays = replays + 1 WHERE id = ?", (message,))

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _message(row: tuple[Any, ...]) -> Message:
    message = Message(*row)
    return replace(message, media=tuple(json.loads(row[5])))


def _fan_id(username: str, seed: int, taken: set[int]) -> int:
    """A nine-digit id made of the name alone, or of the name and a counter where another fan has it."""
    for attempt in range(1_000_000):
        digest = hashlib.sha256(f"{seed}:{attempt}:{username.lower()}".encode()).digest()
        fan_id = 100_000_000 + int.from_bytes(digest[:8]) % 800_000_000
        if fan_id not in taken:
            return fan_id
    raise ValueError("Too many fans for nine digits.")


def _fans_of(path: Path) -> Iterator[Fan]:
    """The fans of a file with the columns Username, Display Name, Subscription Tier, Total Spent, Last Seen."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            username = (row.get("Username") or "").strip().removeprefix("@")
            if username:
                yield Fan(
                    id=0,
                    username=username,
                    name=(row.get("Display Name") or "").strip(),
                    tier=(row.get("Subscription Tier") or "").strip(),
                    spent_cents=_cents(row.get("Total Spent") or ""),
                    last_seen=(row.get("Last Seen") or "").strip(),
                )


def _cents(dollars: str) -> int:
    try:
        return int(Decimal(dollars.strip().removeprefix("$").replace(",", "") or "0") * 100)
    except InvalidOperation:
        return 0
