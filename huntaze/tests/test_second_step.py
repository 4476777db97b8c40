"""Answers whether a second step is asked for at each door, each code opens once, and only its owner changes it."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from crm.models import SignIn, User
from crm.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ASKED, SIGN_IN, LIST = "/security/authenticate/", "/sign-in", "/sign-ins"


def code(steps: int = 0, secret: str = SECRET) -> str:
    return format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30 + steps))


def wrong() -> str:
    return str((int(code()) + 111_111) % 1_000_000).zfill(6)


@pytest.fixture(autouse=True)
def _no_step_ends_meanwhile() -> Any:
    with time_machine.travel(timezone.now().replace(second=5), tick=False):
        yield


@pytest.fixture
def user() -> User:
    user = UserFactory(is_staff=True)
    TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    return user


def recovery_codes(user: User) -> list[str]:
    row = Authenticator.objects.get(user=user, type=Authenticator.Type.RECOVERY_CODES)
    return list(RecoveryCodes(row).get_unused_codes())


def password_given(user: User, following: str = "") -> Client:
    client = Client()
    client.post(SIGN_IN, {"username": user.email, "password": PASSWORD, "next": following})
    return client


def is_in(client: Client) -> bool:
    return client.get(LIST).status_code == 200


def tokens(user: User, **body: str) -> Any:
    return Client().post(
        "/api/auth/token", {"email": user.email, "password": PASSWORD, **body}, content_type="application/json"
    )


def test_the_password_alone_opens_nothing(user: User) -> None:
    client = password_given(user)
    assert not is_in(client)
    assert not SignIn.objects.exists()
    assert client.get("/").status_code == client.get("/admin/").status_code == 302
    assert client.get("/api/auth/me").status_code == 401


def test_a_code_signs_in_and_leads_where_one_wanted_to_go(user: User) -> None:
    client = password_given(user, "/settings")
    answer = client.post(ASKED, {"code": code()})
    assert answer["Location"] == "/settings"
    assert is_in(client)
    assert SignIn.objects.filter(user=user).count() == 1


def test_who_has_no_second_step_signs_in_as_before() -> None:
    assert is_in(password_given(UserFactory()))


def test_another_site_is_no_place_to_go_after_the_code(user: User) -> None:
    client = password_given(user, "https://evil.example.com/")
    assert client.post(ASKED, {"code": code()})["Location"] == "/"


@pytest.mark.parametrize("written", ["{}", "{} ", " {}", "{}-"])
def test_a_code_opens_once_however_it_is_written(user: User, written: str) -> None:
    used = code()
    password_given(user).post(ASKED, {"code": used})
    for again in (used, written.format(used), f"{used[:3]} {used[3:]}"):
        second = password_given(user)
        assert "was used already" in second.post(ASKED, {"code": again}).content.decode()
        assert not is_in(second)


def test_a_used_code_stays_used_while_its_step_is_near(user: User) -> None:
    used = code()
    password_given(user).post(ASKED, {"code": used})
    with time_machine.travel(timezone.now() + timedelta(seconds=35), tick=False):
        client = password_given(user)
        client.post(ASKED, {"code": used})
        assert not is_in(client)


@pytest.mark.parametrize(("steps", "opens"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_off(user: User, steps: int, opens: bool) -> None:
    client = password_given(user)
    client.post(ASKED, {"code": code(steps)})
    assert is_in(client) is opens


def test_a_recovery_code_signs_in_once(user: User) -> None:
    given = recovery_codes(user)[0]
    client, second = password_given(user), password_given(user)
    client.post(ASKED, {"code": given})
    second.post(ASKED, {"code": given})
    assert (is_in(client), is_in(second)) == (True, False)
    assert len(recovery_codes(user)) == 9


def test_the_code_of_somebody_else_opens_nothing(user: User) -> None:
    other = UserFactory()
    TOTP.activate(other, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    RecoveryCodes.activate(other)
    for theirs in (code(secret="GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), recovery_codes(other)[0]):
        client = password_given(user)
        client.post(ASKED, {"code": theirs})
        assert not is_in(client)


def test_nobody_is_asked_for_a_code_before_the_password(user: User) -> None:
    client = Client()
    assert client.get(ASKED)["Location"] == SIGN_IN
    client.post(ASKED, {"code": code()})
    assert not is_in(client)


def test_the_password_is_forgotten_after_a_quarter_of_an_hour(user: User) -> None:
    client = password_given(user)
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        client.post(ASKED, {"code": code()})
        assert not is_in(client)


def test_wrong_codes_lock_as_wrong_passwords_do(user: User) -> None:
    client = password_given(user)
    answers = [client.post(ASKED, {"code": wrong()}).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    assert client.post(ASKED, {"code": code()}).status_code == 429
    assert not is_in(client)
    assert Client().post(SIGN_IN, {"username": user.email, "password": PASSWORD}).status_code == 429
    assert tokens(user, otp=code()).status_code == 429


def test_wrong_passwords_and_wrong_codes_count_together(user: User) -> None:
    for _ in range(3):
        Client().post(SIGN_IN, {"username": user.email, "password": "wrong"})
    client = password_given(user)
    assert [client.post(ASKED, {"code": wrong()}).status_code for _ in range(2)] == [200, 429]


def test_codes_are_limited_from_all_addresses_together(user: User) -> None:
    for number in range(10):
        client = Client(REMOTE_ADDR=f"10.0.0.{number}")
        client.post(SIGN_IN, {"username": user.email, "password": PASSWORD})
        client.post(ASKED, {"code": wrong()})
    client = password_given(user)
    client.post(ASKED, {"code": code()})
    assert not is_in(client)


def test_the_admin_has_no_door_of_its_own(user: User) -> None:
    answer = Client().post("/admin/login/?next=/admin/", {"username": user.email, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in?next=%2Fadmin%2F")
    client = password_given(user, "/admin/")
    assert client.get("/admin/").status_code == 302
    assert client.post(ASKED, {"code": code()})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_who_is_no_operator_is_told_so_and_not_sent_around() -> None:
    client = Client()
    client.force_login(UserFactory())
    assert client.get("/admin/", follow=True).status_code == 403


def test_a_program_needs_a_code_for_tokens(user: User) -> None:
    refused = tokens(user)
    assert (refused.status_code, refused.json()["code"]) == (401, "second_step_needed")
    assert "otp" in refused.json()["detail"]
    wronged = tokens(user, otp=wrong())
    assert (wronged.status_code, wronged.json()["code"]) == (401, "second_step_wrong")
    used = code()
    assert tokens(user, otp=used).status_code == 200
    assert tokens(user, otp=used).json()["code"] == "second_step_wrong"
    assert tokens(user, otp=recovery_codes(user)[0]).status_code == 200


@pytest.mark.parametrize("odd", ["é", "１２３４５６", "-", "12345678901234567890"])
def test_an_odd_code_is_wrong_and_no_error(user: User, odd: str) -> None:
    assert tokens(user, otp=odd).json()["code"] == "second_step_wrong"


def test_tokens_are_not_made_before_the_code_is_right(user: User) -> None:
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

    tokens(user)
    tokens(user, otp=wrong())
    assert not OutstandingToken.objects.exists()
    assert not SignIn.objects.exists()


def test_wrong_codes_of_programs_lock(user: User) -> None:
    answers = [tokens(user, otp=wrong()) for _ in range(5)]
    assert [each.status_code for each in answers] == [401] * 4 + [429]
    assert answers[-1].json()["code"] == "sign_in_locked"
    assert tokens(user, otp=code()).status_code == 429


def test_a_program_of_a_user_without_a_second_step_needs_no_code() -> None:
    assert tokens(UserFactory()).status_code == 200


def signed_in(user: User, *, proved: bool = True) -> Client:
    client = Client()
    client.force_login(user)
    if proved:
        answer = client.post("/security/password/?next=/security/", {"password": PASSWORD})
        assert answer.status_code == 302
    return client


CHANGES = ["totp/activate/", "totp/deactivate/", "recovery-codes/", "recovery-codes/generate/", "webauthn/add/"]


@pytest.mark.parametrize("address", CHANGES)
def test_what_protects_the_account_asks_who_is_there(user: User, address: str) -> None:
    if address == "totp/activate/":
        Authenticator.objects.all().delete()
    client, rows = signed_in(user, proved=False), list(Authenticator.objects.values())
    assert client.get(f"/security/{address}")["Location"].startswith("/security/password/")
    assert client.post(f"/security/{address}", {"code": code()}).status_code in {302, 405}
    assert list(Authenticator.objects.values()) == rows


def test_a_wrong_password_proves_nothing_and_locks(user: User) -> None:
    client = signed_in(user, proved=False)
    answers = [client.post("/security/password/", {"password": "wrong"}).status_code for _ in range(5)]
    assert answers == [200] * 4 + [429]
    assert client.get("/security/totp/deactivate/").status_code == 302


def test_a_code_proves_it_too(user: User) -> None:
    client = signed_in(user, proved=False)
    client.post("/security/reauthenticate/?next=/security/", {"code": code()})
    assert client.get("/security/totp/deactivate/").status_code == 200


def test_the_proof_lasts_ten_minutes(user: User) -> None:
    client = signed_in(user)
    assert client.get("/security/totp/deactivate/").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert client.get("/security/totp/deactivate/").status_code == 302


def secret_shown(page: str) -> str:
    found = re.search(r'<code id="setup-key">([A-Z2-7]{32})</code>', page)
    assert found is not None
    return found[1]


def test_an_app_is_set_up_by_its_first_code_and_the_codes_are_shown_once() -> None:
    user = UserFactory()
    client = signed_in(user)
    page = client.get("/security/totp/activate/").content.decode()
    assert 'src="data:image/svg+xml;base64,' in page
    secret = secret_shown(page)
    assert "This is not the right code" in client.post("/security/totp/activate/", {"code": "000"}).content.decode()
    assert not Authenticator.objects.exists()
    first = code(secret=secret)
    answer = client.post("/security/totp/activate/", {"code": first}, follow=True)
    assert answer.redirect_chain[-1][0] == "/security/recovery-codes/"
    shown = re.findall(r"<li><code>(\d{8})</code>", answer.content.decode())
    assert shown == recovery_codes(user)
    assert len(shown) == 10
    assert shown[0] not in client.get("/security/recovery-codes/").content.decode()
    assert client.get("/security/recovery-codes/download/").status_code == 403
    other = password_given(user)
    other.post(ASKED, {"code": first})
    assert not is_in(other)


def test_secrets_are_encrypted_in_the_database(user: User) -> None:
    assert SECRET not in str(list(Authenticator.objects.values_list("data", flat=True)))


def test_a_secret_of_a_key_that_is_gone_opens_nothing_and_breaks_nothing(user: User, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-secret-key-of-fifty-characters-at-the-least", []
    client = password_given(user)
    assert client.post(ASKED, {"code": code()}).status_code == 200
    assert not is_in(client)


def test_secrets_stay_readable_by_the_key_before(user: User, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-of-fifty-characters-at-the-least"
    client = password_given(user)
    client.post(ASKED, {"code": code()})
    assert is_in(client)


def test_turning_the_app_off_ends_the_recovery_codes_too(user: User) -> None:
    signed_in(user).post("/security/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert is_in(password_given(user))


def test_new_recovery_codes_end_the_old_ones(user: User) -> None:
    old = recovery_codes(user)
    answer = signed_in(user).post("/security/recovery-codes/generate/", follow=True)
    assert not set(old) & set(recovery_codes(user))
    assert recovery_codes(user)[0] in answer.content.decode()
    assert tokens(user, otp=old[0]).status_code == 401


def test_the_page_shows_ones_own_steps_alone(user: User) -> None:
    assert "10 codes are left." in signed_in(user, proved=False).get("/security/").content.decode()
    text = signed_in(UserFactory(), proved=False).get("/security/").content.decode()
    assert "Only your password protects this account." in text
    assert "codes are left" not in text


def passkey(user: User, name: str = "Laptop") -> Authenticator:
    row: Authenticator = Authenticator.objects.create(
        user=user, type=Authenticator.Type.WEBAUTHN, data={"name": name, "credential": {}}
    )
    return row


@pytest.mark.parametrize("what", ["edit", "remove"])
def test_a_strangers_passkey_is_not_found(user: User, what: str) -> None:
    row = passkey(user)
    client = signed_in(UserFactory())
    assert client.get(f"/security/webauthn/keys/{row.pk}/{what}/").status_code == 404
    assert client.post(f"/security/webauthn/keys/{row.pk}/{what}/", {"name": "Mine"}).status_code == 404
    row.refresh_from_db()
    assert row.data["name"] == "Laptop"


def test_a_passkey_that_does_not_answer_the_question_signs_nobody_in(user: User) -> None:
    for body in (
        {},
        {"credential": "{}"},
        {"credential": "nonsense"},
        {"credential": '{"response": {"userHandle": 1}}'},
    ):
        client = Client()
        client.get("/security/webauthn/login/", headers={"Accept": "application/json"})
        assert client.post("/security/webauthn/login/", body)["Location"] == SIGN_IN
        assert not is_in(client)


def test_trying_passkeys_too_often_is_refused() -> None:
    answers = [Client().post("/security/webauthn/login/", {"credential": "{}"}).status_code for _ in range(11)]
    assert answers == [302] * 10 + [429]


def test_an_operator_resets_it_and_the_user_is_signed_out(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = password_given(user)
    client.post(ASKED, {"code": code()})
    monkeypatch.setattr("builtins.input", lambda asked: "no")
    with pytest.raises(CommandError, match=r"Nothing was changed."):
        call_command("reset_second_step", user.email)
    assert is_in(client)
    call_command("reset_second_step", user.email.upper(), "--yes", stdout=StringIO())
    assert not is_in(client)
    assert is_in(password_given(user))
    with pytest.raises(CommandError, match="Nobody signs in"):
        call_command("reset_second_step", "nobody@example.com", "--yes")
