"""Answers whether a server loads the product first and begins only when it may. Touches one file."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from huntaze.local import warm


def test_it_begins_as_soon_as_the_file_is_there_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, waits, begun = tmp_path / "prepared", [], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert begun == []
        if len(waits) == 3:
            file.touch()

    def run_module(module: str, **options: Any) -> None:
        begun.append([module, *sys.argv[1:]])

    monkeypatch.setattr(warm.time, "sleep", sleep)
    monkeypatch.setattr(runpy, "run_module", run_module)
    monkeypatch.setattr(sys, "argv", [])
    warm.main([str(file), "uvicorn", "huntaze.asgi:application", "--port", "1"])
    assert (len(waits), begun) == (3, [["uvicorn", "huntaze.asgi:application", "--port", "1"]])


def test_one_that_is_started_again_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError

    monkeypatch.setattr(warm.time, "sleep", sleep)
    monkeypatch.setattr(runpy, "run_module", lambda module, **options: None)
    monkeypatch.setattr(sys, "argv", [])
    warm.main([str(tmp_path), "uvicorn"])
