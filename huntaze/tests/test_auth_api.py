"""Answers whether tokens are handed out, renewed and withdrawn as the contract says."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from crm.sign_ins import sign_ins_purge
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


def disable(user: Any) -> None:
    user.is_active = False
    user.save()


def change_password(user: Any) -> None:
    user.set_password("another long password")
    user.save()


def later(seconds: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds))


@pytest.mark.parametrize("end", [disable, change_password, lambda user: user.delete()])
def test_whose_account_ends_is_out_within_30_seconds(user: Any, end: Any) -> None:
    found = tokens(user)
    assert status_with(found["access"]) == 200
    end(user)
    with later(30):
        assert status_with(found["access"]) == 401
    renewed = APIClient().post("/api/auth/token/refresh", {"refresh": found["refresh"]})
    verified = APIClient().post("/api/auth/token/verify", {"token": found["access"]})
    assert [(a.status_code, a.json()["code"]) for a in (renewed, verified)] == [(401, "signed_out")] * 2


def test_who_signs_out_is_out_within_30_seconds_and_stays_in_elsewhere(user: Any) -> None:
    here, elsewhere = tokens(user), tokens(user)
    renewed = APIClient().post("/api/auth/token/refresh", {"refresh": here["refresh"]}).json()
    assert status_with(here["access"]) == status_with(renewed["access"]) == 200
    assert APIClient().post("/api/auth/logout", {"refresh": renewed["refresh"]}).status_code == 200
    with later(30):
        assert [status_with(each["access"]) for each in (here, renewed, elsewhere)] == [401, 401, 200]


def test_what_writes_is_refused_at_once(user: Any) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens(user)['access']}")
    assert client.get("/api/crm/fans").status_code == 200
    change_password(user)
    assert client.post("/api/crm/fans", {"platformId": "1"}).status_code == 401


def test_a_role_that_was_taken_reads_for_seconds_and_writes_no_more(user: Any) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens(user)['access']}")
    assert client.get("/api/crm/fans").status_code == 200
    user.memberships.all().delete()
    assert client.post("/api/crm/fans", {"platformId": "1"}).status_code == 404
    with later(30):
        assert client.get("/api/crm/fans").status_code == 404


def test_a_list_that_is_read_again_asks_for_neither_user_nor_role(user: Any, django_assert_num_queries: Any) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens(user)['access']}")
    client.get("/api/crm/fans")
    with django_assert_num_queries(1):
        assert client.get("/api/crm/fans").status_code == 200


@pytest.mark.parametrize("forgery", ["none", "another key", "another user", "refresh"])
def test_a_forged_token_opens_nothing(user: Any, forgery: str) -> None:
    given = tokens(user)
    claims = jwt.decode(given["access"], options={"verify_signature": False})
    head, _, signature = given["access"].split(".")
    other = jwt.encode({**claims, "user_id": str(MembershipFactory().user.pk)}, "x" * 64, algorithm="HS256")
    forged = {
        "none": jwt.encode(claims, None, algorithm="none"),
        "another key": jwt.encode(claims, "x" * 64, algorithm="HS256"),
        "another user": f"{head}.{other.split('.')[1]}.{signature}",
        "refresh": given["refresh"],
    }[forgery]
    assert status_with(given["access"]) == 200
    assert status_with(forged) == 401


@pytest.mark.parametrize("address", ["token/refresh", "logout"])
def test_an_access_token_is_not_taken_for_a_refresh_token(user: Any, address: str) -> None:
    assert APIClient().post(f"/api/auth/{address}", {"refresh": tokens(user)["access"]}).status_code == 401


def test_a_token_of_no_sign_in_opens_nothing(user: Any) -> None:
    token = AccessToken.for_user(user)
    assert status_with(str(token)) == 401
    token["sid"] = "not a sign-in"
    assert status_with(str(token)) == 401


def test_what_was_ended_is_forgotten_once_no_token_can_be_left(user: Any) -> None:
    APIClient().post("/api/auth/logout", {"refresh": tokens(user)["refresh"]})
    with later(86_400 * 29):
        assert sign_ins_purge() == 0
    with later(86_400 * 31):
        assert sign_ins_purge() == 1


def test_a_request_keeps_the_id_it_came_with_unless_it_is_odd(user: Any) -> None:
    named = APIClient().get("/livez", headers={"X-Request-Id": "abc-123"})
    assert named["X-Request-Id"] == "abc-123"
    odd = APIClient().get("/livez", headers={"X-Request-Id": "a b\tc"})
    assert odd["X-Request-Id"] not in ("", "a b\tc")
