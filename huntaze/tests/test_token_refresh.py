"""A refresh token is exchanged once, however many requests bring it at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from crm.tests.factories import PASSWORD, MembershipFactory

AT_ONCE = 8
ROUNDS = 25


def tokens(user: Any) -> dict[str, str]:
    answer = APIClient().post("/api/auth/token", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200
    return dict(answer.json())


def refreshed(refresh: str) -> Any:
    return APIClient().post("/api/auth/token/refresh", {"refresh": refresh})


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_moment_one_gets_the_next_tokens() -> None:
    refresh = tokens(MembershipFactory().user)["refresh"]
    together = threading.Barrier(AT_ONCE)

    def attempt(token: str) -> Any:
        try:
            together.wait(timeout=10)
            answer = refreshed(token)
            return answer.status_code, answer.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(ROUNDS):
            found = list(pool.map(attempt, [refresh] * AT_ONCE))
            won = [body for status, body in found if status == 200]
            lost = [(status, body["code"]) for status, body in found if status != 200]
            assert lost == [(401, "token_used")] * (AT_ONCE - 1)
            # The chain goes on with what the one got.
            [following] = won
            refresh = following["refresh"]
    # One row for each round's next token, beside the first: no second chain.
    assert OutstandingToken.objects.count() == ROUNDS + 1
    assert BlacklistedToken.objects.count() == ROUNDS


@pytest.mark.django_db
def test_a_token_that_comes_again_later_is_told_the_same() -> None:
    refresh = tokens(MembershipFactory().user)["refresh"]
    assert refreshed(refresh).status_code == 200
    answer = refreshed(refresh)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_used")
    assert "Bearer" in answer["WWW-Authenticate"]


@pytest.mark.django_db
def test_after_signing_out_it_says_that_the_sign_in_has_ended() -> None:
    refresh = tokens(MembershipFactory().user)["refresh"]
    assert APIClient().post("/api/auth/logout", {"refresh": refresh}).status_code == 200
    assert refreshed(refresh).json()["code"] == "signed_out"


@pytest.mark.django_db(transaction=True)
def test_a_token_whose_successor_could_not_be_stored_is_not_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    refresh = tokens(MembershipFactory().user)["refresh"]

    def broken(token: RefreshToken) -> None:
        raise ConnectionError("the database went away")

    with monkeypatch.context() as broke:
        broke.setattr(RefreshToken, "outstand", broken)
        with pytest.raises(ConnectionError):
            refreshed(refresh)
    assert refreshed(refresh).status_code == 200
