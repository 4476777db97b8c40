"""Answers whether tokens are handed out, renewed and withdrawn as the contract says."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from crm.tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> Any:
    return MembershipFactory().user


def tokens(user: Any) -> dict[str, str]:
    answer = APIClient().post("/api/auth/token", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200
    return dict(answer.json())


def status_with(access: str) -> int:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return int(client.get("/api/auth/me").status_code)


def test_a_token_opens_the_api(user: Any) -> None:
    assert status_with(tokens(user)["access"]) == 200


def test_a_wrong_password_is_a_problem_document(user: Any) -> None:
    answer = APIClient().post("/api/auth/token", {"email": user.email, "password": "wrong"})
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_a_token_ends_after_a_quarter_of_an_hour(user: Any) -> None:
    access = tokens(user)["access"]
    with time_machine.travel(timezone.now() + timedelta(minutes=14)):
        assert status_with(access) == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert status_with(access) == 401


def test_a_refresh_token_serves_once(user: Any) -> None:
    refresh = tokens(user)["refresh"]
    renewed = APIClient().post("/api/auth/token/refresh", {"refresh": refresh})
    assert status_with(renewed.json()["access"]) == 200
    assert APIClient().post("/api/auth/token/refresh", {"refresh": refresh}).status_code == 401


def test_signing_out_withdraws_the_refresh_token(user: Any) -> None:
    refresh = tokens(user)["refresh"]
    assert APIClient().post("/api/auth/logout", {"refresh": refresh}).status_code == 200
    assert APIClient().post("/api/auth/token/refresh", {"refresh": refresh}).status_code == 401


def test_a_disabled_user_is_out(user: Any) -> None:
    access = tokens(user)["access"]
    user.is_active = False
    user.save()
    assert status_with(access) == 401


def test_a_request_keeps_the_id_it_came_with_unless_it_is_odd(user: Any) -> None:
    named = APIClient().get("/livez", headers={"X-Request-Id": "abc-123"})
    assert named["X-Request-Id"] == "abc-123"
    odd = APIClient().get("/livez", headers={"X-Request-Id": "a b\tc"})
    assert odd["X-Request-Id"] not in ("", "a b\tc")
