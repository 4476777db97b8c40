"""Answers whether a seed gives the same run again, and whether every run is what a chaos run has to be."""

import pytest

from chaos.plan import CREATORS, FANS, LIMIT, Plan, Victim, Way, plan_make


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_make(seed=7, minutes=2)


def test_a_seed_gives_the_same_plan_again(plan: Plan) -> None:
    assert plan_make(seed=7, minutes=2) == plan


def test_another_seed_gives_another_plan_in_all_its_parts(plan: Plan) -> None:
    other = plan_make(seed=8, minutes=2)
    for part in ("steps", "kills", "outages", "vendor_faults", "sqs_rules"):
        assert getattr(other, part) != getattr(plan, part)


def test_no_two_messages_to_a_fan_can_be_taken_for_each_other(plan: Plan) -> None:
    texts = [
        (step.creator, fan, text)
        for steps in plan.steps
        for step in steps
        for fan, text in zip(step.fans, step.texts, strict=True)
    ]
    assert len(set(texts)) == len(texts) == plan.messages


def test_two_minutes_hold_thousands_of_messages_in_every_way_to_everybody(plan: Plan) -> None:
    assert plan.messages >= 2_000
    steps = [step for some in plan.steps for step in some]
    assert {step.way for step in steps} == set(Way)
    assert {step.creator for step in steps} == set(range(CREATORS))
    assert {fan for step in steps for fan in step.fans} == set(range(FANS))
    assert all(len(set(step.fans)) == len(step.fans) for step in steps if step.campaign)


def test_everybody_is_killed_while_it_storms_however_short_it_is() -> None:
    short = plan_make(seed=7, minutes=0.2)
    assert all(0 < kill.at < short.seconds for kill in short.kills)
    assert {kill.part.split("-")[0] for kill in short.kills} == set(Victim)


def test_an_answer_that_comes_too_late_is_to_a_message_that_was_taken_in_time(plan: Plan) -> None:
    # Otherwise the platform would take it after its sender had given up, and nobody could keep its pace.
    late = [each.fault for each in plan.vendor_faults if each.fault.delay_ms >= LIMIT.lease_ms - 1_000]
    assert late
    assert all(fault.take and fault.kept for fault in late)
