"""Answers what the users of `bench.traffic` do: half of them in a browser, half by the API. Touches the one server.

locust runs it, in a process and an environment of its own (requirements-load.in). TRAFFIC_USERS names a file with an
entry for each user, TRAFFIC_REPORT the file that the figures are written into at the end.
"""

import json
import os
import random
import re
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
from locust import FastHttpUser, between, events, task
from urllib3 import encode_multipart_formdata

ENTRIES = json.loads(Path(os.environ["TRAFFIC_USERS"]).read_text())
PASSWORD = os.environ["TRAFFIC_PASSWORD"]
NUMBERS = count()
# An access token is good for a quarter of an hour.
TOKEN_SECONDS = 600
IMPORT_ROWS = 25
BULK = 5
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
errors: Counter[str] = Counter()
told: Counter[str] = Counter()


class Person(FastHttpUser):
    """One of the users, with an account, an address and a creator of their own; pauses as people and programs do."""

    abstract = True
    # Well within the quota, sends too.
    wait_time = between(4, 10)

    def on_start(self) -> None:
        self.number = next(NUMBERS)
        self.entry = ENTRIES[self.number % len(ENTRIES)]
        self.fixed = {
            # The proxy in front says for whom it asks.
            "X-Forwarded-For": f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}",
        }
        self.greenlets: list[Any] = []
        self.sign_in()

    def on_stop(self) -> None:
        gevent.killall(self.greenlets)

    def sign_in(self) -> None:
        raise NotImplementedError

    def ask(self, method: str, path: str, kind: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        return self.client.request(method, path, name=kind, headers={**self.fixed, **(headers or {})}, **options)

    def any_conversation(self) -> int:
        # People look at what is on top.
        conversations = self.entry["conversations"]
        return int(conversations[min(int(random.expovariate(0.15)), len(conversations) - 1)])


class Chatter(Person):
    """Has the inbox open with its stream, reads and answers."""

    weight = 1
    fragment = {"Accept": "text/html", "HX-Request": "true"}

    def sign_in(self) -> None:
        # The cookies are for TLS alone, which the proxy ends.
        self.client.cookiejar.set_policy(DefaultCookiePolicy(secure_protocols=("http", "https")))
        page = self.ask("GET", "/sign-in", "page: sign-in")
        found = CSRF.search(page.text or "")
        form = {"csrfmiddlewaretoken": found[1] if found else "", "username": self.entry["email"], "password": PASSWORD}
        self.ask("POST", "/sign-in", "signing in", data=form)
        csrf = next((cookie.value for cookie in self.client.cookiejar if cookie.name == "csrftoken"), "")
        self.fragment = {**self.fragment, "X-CSRFToken": csrf, "X-Creator": str(self.entry["creator"])}
        self.greenlets.append(gevent.spawn(self.listen))

    def listen(self) -> None:
        """As static/live.js does: look again when woken, come back when the stream ends."""
        while True:
            answer = self.ask("GET", f"/live/{self.entry['creator']}", "live: opened", stream=True)
            if answer.status_code == 200:
                told["streams opened"] += 1
                with suppress(OSError, HTTPException):
                    while line := answer.stream.readline(b"\n"):
                        if line.startswith(b"data: "):
                            told["wake-ups heard"] += 1
                            gevent.sleep(random.uniform(0.1, 0.5))
                            self.conversations("fragment: inbox, woken")
                # A server that goes on does not end it.
                errors["live: the stream ended"] += 1
            gevent.sleep(random.uniform(1, 4))

    def conversations(self, kind: str) -> None:
        self.ask("GET", "/api/crm/conversations", kind, self.fragment)

    @task(3)
    def inbox(self) -> None:
        self.ask("GET", "/messages/onlyfans", "page: inbox")

    @task(4)
    def conversation(self) -> None:
        self.ask("GET", f"/messages/onlyfans/{self.any_conversation()}", "page: conversation")

    @task(5)
    def inbox_fragment(self) -> None:
        self.conversations("fragment: inbox")

    @task(5)
    def thread_fragment(self) -> None:
        path = f"/api/crm/conversations/{self.any_conversation()}/messages"
        self.ask("GET", path, "fragment: thread", self.fragment)

    @task(3)
    def answer(self) -> None:
        path = f"/api/crm/conversations/{self.any_conversation()}/messages"
        headers = {**self.fragment, "Idempotency-Key": str(uuid4())}
        done = self.ask("POST", path, "send: reply", headers, data={"text": "Good morning! How was your weekend?"})
        told["messages accepted"] += done.status_code == 202

    @task(1)
    def fans(self) -> None:
        self.ask("GET", "/platforms/onlyfans/fans", "page: fans")

    @task(1)
    def status(self) -> None:
        self.ask("GET", "/messages/onlyfans/status", "page: sending")

    @task(1)
    def analytics(self) -> None:
        self.ask("GET", "/platforms/onlyfans/analytics", "page: analytics")


class Program(Person):
    """Reads lists, sends, writes to several at once, imports."""

    weight = 1

    def sign_in(self) -> None:
        self._token()
        self.greenlets.append(gevent.spawn(self._renew))

    def _token(self) -> None:
        body = {"email": self.entry["email"], "password": PASSWORD}
        answer = self.ask("POST", "/api/auth/token", "signing in", json=body)
        token = answer.json()["access"] if answer.status_code == 200 else ""
        self.fixed = {**self.fixed, "Authorization": f"Bearer {token}", "X-Creator": str(self.entry["creator"])}

    def _renew(self) -> None:
        while True:
            gevent.sleep(TOKEN_SECONDS)
            # The other requests of this person go on under the old one until the new one is there.
            self._token()

    @task(5)
    def conversations(self) -> None:
        self.ask("GET", "/api/crm/conversations", "list: conversations")

    @task(4)
    def messages(self) -> None:
        self.ask("GET", f"/api/crm/conversations/{self.any_conversation()}/messages", "list: messages")

    @task(4)
    def fans(self) -> None:
        self.ask("GET", "/api/crm/fans", "list: fans")

    @task(2)
    def fan(self) -> None:
        self.ask("GET", f"/api/crm/fans/{random.choice(self.entry['fans'])}", "one fan")

    @task(1)
    def money(self) -> None:
        self.ask("GET", "/api/analytics/overview", "analytics: overview")

    @task(2)
    def status(self) -> None:
        self.ask("GET", "/api/onlyfans/messages/status", "sending: status")

    @task(3)
    def send(self) -> None:
        body = {"recipientId": f"fan_{random.choice(self.entry['fans'])}", "content": "Good morning!"}
        done = self.ask(
            "POST", "/api/onlyfans/messages/send", "send: one", {"Idempotency-Key": str(uuid4())}, json=body
        )
        told["messages accepted"] += done.status_code == 202

    @task(1)
    def bulk(self) -> None:
        fans = [f"fan_{fan}" for fan in random.sample(self.entry["fans"], BULK)]
        body = {"recipientIds": fans, "content": "Hello, {name}!", "campaignName": "Morning"}
        done = self.ask("POST", "/api/messages/bulk", "send: bulk", {"Idempotency-Key": str(uuid4())}, json=body)
        if done.status_code < 300:
            told["messages accepted"] += done.json()["totalRecipients"]

    @task(1)
    def import_file(self) -> None:
        rows = [f"guest{random.randrange(10**9)},Guest {n},${n}.50" for n in range(IMPORT_ROWS)]
        file = "\n".join(["Username,Display Name,Total Spent", *rows]).encode()
        body, kind = encode_multipart_formdata({"file": ("fans.csv", file, "text/csv")})
        headers = {"Content-Type": kind, "Idempotency-Key": str(uuid4())}
        done = self.ask("POST", "/api/onlyfans/import/csv", f"import: {IMPORT_ROWS} rows", headers, data=body)
        told["rows imported"] += IMPORT_ROWS * (done.status_code < 300)


@events.request.add_listener
def _note(name: str, exception: Exception | None, **_: Any) -> None:
    # Also what fails before all users are there, which locust forgets by then.
    if exception is not None:
        errors[f"{name}: {exception}"[:200]] += 1


@events.quitting.add_listener
def _report(environment: Any, **_: Any) -> None:
    def figures(entry: Any) -> dict[str, float]:
        cuts = {f"p{cut}": entry.get_response_time_percentile(cut / 100) or 0 for cut in (50, 95, 99)}
        return {"requests": entry.num_requests, "per_second": entry.total_rps, **cuts}

    with suppress(KeyError):
        errors.update({f"the users' own: {key}": each["count"] for key, each in environment.runner.exceptions.items()})
    report = {
        "kinds": {entry.name: figures(entry) for entry in environment.stats.entries.values()},
        "total": figures(environment.stats.total),
        "errors": errors,
        "told": told,
    }
    Path(os.environ["TRAFFIC_REPORT"]).write_text(json.dumps(report))
