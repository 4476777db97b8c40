"""Answers whether the system checks name what is missing or unsafe."""

from typing import Any

import pytest

from huntaze import checks


def test_a_configured_project_has_nothing_to_say(settings: Any) -> None:
    assert checks.sending_is_configured() == []
    assert checks.a_send_ends_before_its_claim() == []


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("AWS_REGION", "AWS_REGION"),
        ("SQS_RATE_LIMITER_QUEUE_URL", "SQS_RATE_LIMITER_QUEUE_URL"),
        ("REDIS_URL", "REDIS_ENDPOINT"),
    ],
)
def test_a_missing_variable_is_named(settings: Any, setting: str, variable: str) -> None:
    setattr(settings, setting, "")
    [warning] = checks.sending_is_configured()
    assert warning.id == "huntaze.W001"
    assert variable in warning.msg


def test_a_limiter_that_is_off_is_said_once(settings: Any) -> None:
    settings.RATE_LIMITER_ENABLED = False
    settings.AWS_REGION = ""
    assert [warning.id for warning in checks.sending_is_configured()] == ["huntaze.W002"]


@pytest.mark.parametrize(("timeout", "lease", "visibility"), [(30, 30, 180), (15, 180, 180), (40, 30, 180)])
def test_a_claim_that_ends_before_its_send_is_an_error(
    settings: Any, timeout: float, lease: float, visibility: int
) -> None:
    settings.SEND_TIMEOUT_SECONDS = timeout
    settings.SEND_LEASE_SECONDS = lease
    settings.SQS_VISIBILITY_TIMEOUT_SECONDS = visibility
    assert [error.id for error in checks.a_send_ends_before_its_claim()] == ["huntaze.E001"]


def test_the_public_salt_is_warned_of(settings: Any) -> None:
    settings.SALT_KEY = "huntaze-field-encryption"
    assert [warning.id for warning in checks.encryption_salt_is_own()] == ["huntaze.W003"]


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["*"], ["huntaze.W005"]),
        (["crm.example.com", "*"], ["huntaze.W005"]),
        (["crm.example.com", ".example.org"], []),
    ],
)
def test_a_site_of_any_name_is_warned_of(settings: Any, hosts: list[str], found: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    assert [warning.id for warning in checks.hosts_are_named()] == found


@pytest.mark.parametrize(("local", "found"), [(True, ["huntaze.W006"]), (False, [])])
def test_a_site_for_this_machine_alone_is_warned_of(settings: Any, local: bool, found: list[str]) -> None:
    settings.LOCAL = local
    assert [warning.id for warning in checks.not_for_this_machine_alone()] == found
