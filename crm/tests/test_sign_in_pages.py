"""Answers whether users see where they are signed in, and can end it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import SignIn
from crm.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
LIST, END = "/sign-ins", "/sign-ins/end"


def browser(user: Any, agent: str = "Firefox") -> Client:
    client = Client(headers={"User-Agent": agent})
    client.post("/sign-in", {"username": user.email, "password": PASSWORD})
    return client


def tokens(user: Any) -> APIClient:
    client = APIClient()
    told = client.post("/api/auth/token", {"email": user.email, "password": PASSWORD}, headers={"User-Agent": "script"})
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {told.json()['access']}")
    return client


def test_a_browser_and_a_program_are_on_the_page() -> None:
    user = UserFactory()
    client, _ = browser(user), tokens(user)
    text = client.get(LIST).content.decode()
    assert "Firefox" in text
    assert "script" in text
    assert text.count("this one") == 1


def test_another_browser_is_signed_out_and_this_one_stays() -> None:
    user = UserFactory()
    mine, other = browser(user), browser(user, "Chrome")
    row = SignIn.objects.get(agent="Chrome")
    assert mine.post(END, {"id": row.pk}, follow=True).status_code == 200
    assert other.get(LIST).status_code == 302
    assert mine.get(LIST).status_code == 200
    assert "Chrome" not in mine.get(LIST).content.decode()


def test_a_programs_tokens_open_nothing_any_more() -> None:
    user = UserFactory()
    mine, program = browser(user), tokens(user)
    assert program.post("/api/crm/fans", {}).status_code != 401
    mine.post(END, {"id": SignIn.objects.get(session_key=None).pk})
    assert program.post("/api/crm/fans", {}).status_code == 401


def test_all_others_end_at_once() -> None:
    user = UserFactory()
    mine, other, program = browser(user), browser(user, "Chrome"), tokens(user)
    mine.post(END)
    assert other.get(LIST).status_code == 302
    assert program.post("/api/crm/fans", {}).status_code == 401
    assert mine.get(LIST).status_code == 200
    assert SignIn.objects.count() == 1


@pytest.mark.parametrize("asked", ["0", "9" * 30, "me", "-1"])
def test_what_is_no_sign_in_is_not_found(asked: str) -> None:
    assert browser(UserFactory()).post(END, {"id": asked}).status_code == 404


def test_a_strangers_sign_in_is_not_found_and_stays() -> None:
    user, stranger = UserFactory(), UserFactory()
    mine = browser(user)
    assert browser(stranger).post(END, {"id": SignIn.objects.get(user=user).pk}).status_code == 404
    assert mine.get(LIST).status_code == 200


def test_who_signs_out_is_not_on_the_list() -> None:
    user = UserFactory()
    other = browser(user, "Chrome")
    other.post(reverse("sign-out"))
    assert "Chrome" not in browser(user).get(LIST).content.decode()


def test_nobody_sees_it_without_signing_in() -> None:
    assert Client().get(LIST).status_code == 302
    assert Client().post(END).status_code == 302


def test_renewing_tokens_is_noted() -> None:
    user = UserFactory()
    refresh = APIClient().post("/api/auth/token", {"email": user.email, "password": PASSWORD}).json()["refresh"]
    SignIn.objects.update(seen_at=timezone.now() - timedelta(days=9))
    APIClient().post("/api/auth/token/refresh", {"refresh": refresh})
    assert SignIn.objects.get().seen_at > timezone.now() - timedelta(minutes=5)
