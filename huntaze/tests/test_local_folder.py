"""Answers whether the local stack's folder is safe to share, to lock and to clear. Touches temporary folders."""

import os
import stat
from pathlib import Path

import pytest

from huntaze.local import folder
from huntaze.local.folder import StackRefused


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_and_readable_by_us_alone(tmp_path):
    first = folder.kept_secret(tmp_path / "secret")
    assert folder.kept_secret(tmp_path / "secret") == first
    assert len(first) > 50
    assert mode(tmp_path / "secret") == 0o600


def test_a_second_stack_is_refused_and_told_where_the_first_is(tmp_path):
    local = tmp_path / ".local"
    with folder.lock(local) as path:
        folder.lock_note(path, "http://127.0.0.1:8000")
        with pytest.raises(StackRefused, match=rf"process {os.getpid()}, http://127.0.0.1:8000"), folder.lock(local):
            pass
    with folder.lock(local):
        pass


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "letters").write_text("dear")
    with pytest.raises(StackRefused, match="not the stack's"), folder.lock(tmp_path):
        pass
    assert mode(tmp_path) == 0o755


def test_clearing_deletes_what_the_stack_keeps_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "SHELTERS", tmp_path / "shelters")
    local = tmp_path / ".local"
    (local / "postgres" / "data").mkdir(parents=True)
    (local / "stack.env").write_text("A=b")
    (local / "letters").write_text("dear")
    shelter = tmp_path / "shelters"
    shelter.mkdir()
    (folder.shelter_make(local) / "postgres").mkdir()
    folder.clear(local)
    assert [path.name for path in local.iterdir()] == ["letters"]
    assert list(shelter.iterdir()) == []


def test_a_shelter_somebody_else_prepared_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "SHELTERS", tmp_path)
    path = folder.shelter(Path("/somewhere"))
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(StackRefused, match="not ours"):
        folder.shelter_make(Path("/somewhere"))


def test_a_shelter_that_is_a_link_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "SHELTERS", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    folder.shelter(Path("/somewhere")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackRefused, match="not ours"):
        folder.shelter_make(Path("/somewhere"))


def test_root_keeps_the_cluster_in_a_shelter_where_the_checkout_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "SHELTERS", tmp_path)
    monkeypatch.setattr(folder, "run_as", lambda: folder.RunAs(65_534, 65_534))
    monkeypatch.setattr(folder, "reachable", lambda path: False)
    home = folder.postgres_home(tmp_path / "closed" / ".local")
    assert home.parent.parent == tmp_path
    assert home.parent.name.startswith("huntaze-")


def test_another_user_keeps_the_cluster_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "run_as", lambda: None)
    assert folder.postgres_home(tmp_path / ".local") == tmp_path / ".local" / "postgres"


def test_a_closed_parent_makes_a_path_unreachable(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not folder.reachable(closed / "postgres")
