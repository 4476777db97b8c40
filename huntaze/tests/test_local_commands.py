"""Answers whether up, reset and exec do what they say and ask where they should. Touches a temporary folder."""

import sys
from pathlib import Path

import pytest

from huntaze.local import __main__ as commands
from huntaze.local import console, stack


@pytest.fixture
def local(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(commands.folder, "local_dir", lambda: tmp_path / ".local")
    monkeypatch.setattr(commands.folder, "SHELTERS", tmp_path)
    with commands.folder.lock(tmp_path / ".local"):
        (tmp_path / ".local" / "valkey").mkdir()
    return tmp_path / ".local"


def test_reset_asks_first(local, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert commands.main(["reset"]) == 1
    assert (local / "valkey").exists()
    assert "Nothing was deleted" in capsys.readouterr().out


def test_reset_without_anybody_to_ask_deletes_nothing(local, monkeypatch):
    def nobody(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert commands.main(["reset"]) == 1
    assert (local / "valkey").exists()


@pytest.mark.parametrize("arguments", [["reset", "--yes"], ["reset"]])
def test_reset_deletes_the_data_when_it_may(local, monkeypatch, arguments):
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert commands.main(arguments) == 0
    assert not (local / "valkey").exists()


def test_reset_refuses_while_the_stack_runs(local, capsys):
    with commands.folder.lock(local) as path:
        commands.folder.lock_note(path, "http://127.0.0.1:8000")
        assert commands.main(["reset", "--yes"]) == 1
    assert "http://127.0.0.1:8000" in capsys.readouterr().out
    assert (local / "valkey").exists()


def test_what_a_killed_stack_left_is_no_configuration(local, monkeypatch):
    (local / "stack.env").write_text("DATABASE_URL=postgres://gone")
    seen = []
    monkeypatch.setattr(stack.env, "env_files_load", lambda: seen.append((local / "stack.env").exists()))

    async def nothing(plan, stack_env):
        stack_env.write_text("DATABASE_URL=postgres://now")
        return 0

    monkeypatch.setattr(stack, "_run", nothing)
    assert commands.main(["up"]) == 0
    assert seen == [False]
    assert not (local / "stack.env").exists()


def test_exec_gives_the_exit_code_of_its_command():
    assert commands.main(["exec", "--", sys.executable, "-c", "raise SystemExit(5)"]) == 5


def test_colours_only_for_a_person(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.colours_wanted()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not console.colours_wanted()
    assert console.painted("web", 1, colours=False) == "web"
    assert console.painted("web", 1, colours=True) == "\033[35mweb\033[0m"
