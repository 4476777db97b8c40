"""Whether the documents' `curl` blocks work as they stand: each page's in their order, against a real `make run`."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from huntaze import demo_content
from tests.stack import ROOT, Stack, ask, folder_of_a_stack, running

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"\bcurl -")
# Where the documents say that `make run` answers; the test's has another port.
ADDRESS = "http://localhost:8000"
# Before each document's own: what curl was answered, beside what it prints.
LOGGED = (
    '#!/bin/sh\nexec {curl} --write-out "%{{stderr}}answered %{{http_code}} %{{method}} %{{url_effective}}\\n" "$@"\n'
)


def script_of(page: Path) -> str:
    """The page's blocks as one script, so that a variable of one is there for the next."""
    blocks = [
        (match[2], re.sub(f"^{match[1]}", "", match[3], flags=re.M)) for match in FENCED.finditer(page.read_text())
    ]
    return "".join(text for kind, text in blocks if kind == "sh curl")


WITH_CURL = [page for page in PAGES if script_of(page)]


def test_every_call_of_curl_stands_in_a_block_that_is_run() -> None:
    for page in PAGES:
        assert len(CALL.findall(page.read_text())) == len(CALL.findall(script_of(page))), page
    assert len(WITH_CURL) >= 5


@pytest.fixture
def stack() -> Iterator[Stack]:
    """With a message that waits for a day, as there is where somebody restores a backup."""
    with folder_of_a_stack() as folder, running(folder, {}) as stack:
        web = stack.value("Pages").rstrip("/")
        credentials = {"email": demo_content.CREATOR_EMAIL, "password": demo_content.PASSWORD}
        bearer = {"Authorization": f"Bearer {ask(f'{web}/api/auth/token', credentials)['access']}"}
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        body = {"recipientId": "lamartin0", "content": "Good morning!", "scheduledAt": tomorrow}
        ask(f"{web}/api/onlyfans/messages/send", body, **bearer)
        yield stack


# One test, because several processes of the run would each start a stack for their share.
@pytest.mark.stack
def test_the_calls_of_every_page_work_as_they_stand(stack: Stack, tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    curl.write_text(LOGGED.format(curl=shutil.which("curl")))
    curl.chmod(0o755)
    # Twice: a reader may come back.
    for time, page in enumerate(2 * WITH_CURL):
        script = script_of(page).replace(ADDRESS, stack.value("Pages").rstrip("/"))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        told = f"{page.name}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, told
        answers = re.findall(r"^answered (\d{3}) (.*)$", done.stderr, re.MULTILINE)
        # A message that waits may leave before it is cancelled: the worker of the stack is at work.
        wrong = [
            (status, call)
            for status, call in answers
            if not status.startswith("2") and not (status == "409" and call.endswith("/cancel"))
        ]
        assert wrong == [], told
        if time < len(WITH_CURL):
            assert len(answers) == len(CALL.findall(script)), told
