"""Answers whether guessing passwords is stopped at each door, and whether the one who may gets in again."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from crm.models import User
from crm.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
WRONG = "wrong"
DOORS = pytest.mark.parametrize("door", ["/sign-in", "/api/auth/token"])


@pytest.fixture
def user() -> User:
    return UserFactory(is_staff=True)


def attempt(door: str, user: User, password: str = WRONG, address: str = "127.0.0.1") -> Any:
    if door.startswith("/api"):
        body = {"email": user.email.upper(), "password": password}
        return Client(REMOTE_ADDR=address).post(door, body, content_type="application/json")
    return Client(REMOTE_ADDR=address).post(door, {"username": user.email, "password": password})


def signs_in(answer: Any) -> bool:
    return answer.status_code == 302 or (answer.status_code == 200 and "access" in answer.content.decode()[:500])


@DOORS
def test_the_fifth_wrong_password_locks_and_the_right_one_is_refused_then(user: User, door: str) -> None:
    early = [attempt(door, user).status_code for _ in range(4)]
    assert set(early) <= {200, 401}
    assert attempt(door, user).status_code == 429
    locked = attempt(door, user, PASSWORD)
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert "Too many attempts to sign in. Try again in 15 minutes." in locked.content.decode()


def test_the_api_says_it_in_a_problem_document(user: User) -> None:
    answers = [attempt("/api/auth/token", user) for _ in range(5)]
    assert (answers[-1]["Content-Type"], answers[-1].json()["code"]) == ("application/problem+json", "sign_in_locked")
    assert answers[0].json()["code"] == "no_active_account"


@DOORS
def test_a_lock_at_one_door_is_a_lock_at_each(user: User, door: str) -> None:
    for _ in range(5):
        attempt("/sign-in", user)
    assert attempt(door, user, PASSWORD).status_code == 429


def test_another_address_and_another_name_are_not_locked(user: User) -> None:
    for _ in range(5):
        attempt("/sign-in", user)
    assert signs_in(attempt("/sign-in", user, PASSWORD, address="10.1.1.1"))
    assert signs_in(attempt("/sign-in", UserFactory(), PASSWORD))


@DOORS
def test_one_password_on_many_names_is_refused_with_the_address_and_not_elsewhere(
    user: User, settings: Any, door: str
) -> None:
    settings.THROTTLE_PER_MINUTE = {**settings.THROTTLE_PER_MINUTE, "anonymous": 3}
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False):
        answers = [attempt(door, UserFactory()) for _ in range(4)]
        assert {answer.status_code for answer in answers[:3]} <= {200, 401}
        assert answers[-1].status_code == 429
        assert 1 <= int(answers[-1]["Retry-After"]) <= 60
        # One quota for all doors, whoever is right.
        assert attempt("/sign-in", user, PASSWORD).status_code == 429
        assert signs_in(attempt(door, user, PASSWORD, address="10.1.1.1"))


@DOORS
def test_the_lock_ends_however_often_one_tries_meanwhile(user: User, door: str) -> None:
    for _ in range(5):
        attempt(door, user)
    with time_machine.travel(timezone.now() + timedelta(minutes=14)):
        assert attempt(door, user, PASSWORD).status_code == 429
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert signs_in(attempt(door, user, PASSWORD))


@DOORS
def test_signing_in_forgets_earlier_mistakes(user: User, door: str) -> None:
    for _ in range(4):
        attempt(door, user)
    assert signs_in(attempt(door, user, PASSWORD))
    assert {attempt(door, user).status_code for _ in range(4)} <= {200, 401}


def test_an_operator_unlocks_a_name(user: User) -> None:
    for _ in range(5):
        attempt("/sign-in", user)
    call_command("axes_reset_username", user.email)
    assert signs_in(attempt("/sign-in", user, PASSWORD))


@pytest.mark.parametrize(("language", "spoken"), [("fr", "fr"), ("", "en")])
def test_a_browser_speaks_the_language_that_its_user_chose_elsewhere(user: User, language: str, spoken: str) -> None:
    User.objects.update(language=language)
    browser = Client(headers={"Accept-Language": "en"})
    browser.post("/sign-in", {"username": user.email, "password": PASSWORD})
    assert f'<html lang="{spoken}"' in browser.get("/sign-ins").content.decode()
