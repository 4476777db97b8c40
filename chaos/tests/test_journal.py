"""Answers whether a producer's death takes nothing of what it asked for and was told."""

from pathlib import Path
from unittest.mock import patch

from chaos.journal import FINISHED, Asked, Journal
from chaos.plan import plan_make
from chaos.producer import produce


def test_a_call_without_an_answer_stays_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.write({"step": 0, "asked_at": 1.0})
    journal.write({"step": 0, "answered_at": 2.0, "error": "", "refused": [3]})
    journal.write({"step": 1, "asked_at": 3.0})
    asked, finished = Journal(tmp_path / "journal").read()
    assert asked[0] == Asked(0, 1.0, 2.0, "", [3])
    assert asked[1] == Asked(1, 3.0)
    assert not finished


def test_a_producer_that_was_killed_goes_on_after_the_step_it_had_begun(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    plan = plan_make(seed=1, minutes=0.2)
    last = plan.steps[0][-1].number
    journal.write({"step": last - 2, "asked_at": 1.0})
    with (
        patch("chaos.producer.ask", side_effect=[OSError("away"), [0]]),
        patch("django.db.close_old_connections"),
        patch("time.sleep"),
    ):
        import time

        produce(plan, 0, begin=time.time(), journal=journal)
    asked, finished = journal.read()
    assert finished
    assert sorted(asked) == [last - 2, last - 1, last]
    assert (asked[last - 1].error, asked[last].refused) == ("OSError", [0])
    assert FINISHED in (tmp_path / "journal").read_text()


def test_what_the_storm_left_no_time_for_is_never_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    plan = plan_make(seed=1, minutes=0.2)
    with patch("time.sleep"):
        produce(plan, 0, begin=0, journal=journal)
    assert journal.read() == ({}, True)
