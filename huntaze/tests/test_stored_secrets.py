"""Answers whether stored secrets outlive the key they were stored under, and whether the command says what is left."""

import json
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.utils import decrypt, encrypt
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from encrypted_fields.fields import EncryptedFieldMixin, EncryptedTextField

from crm.models import User
from crm.tests.factories import CreatorFactory, UserFactory
from huntaze import stored_secrets
from huntaze.stored_secrets import HOLDERS, Columns, stored_secrets_reencrypt
from onlyfans.models import Account, AccountEvent
from onlyfans.services import account_connect, account_secret_rotate

pytestmark = pytest.mark.django_db
APP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
TODAY = "the-secret-key-of-today-fifty-characters-at-the-least"


@pytest.fixture
def account() -> Account:
    account = account_connect(creator=CreatorFactory(), account_id="acct_1", api_key="key-1")
    account_secret_rotate(account=account, secret="webhook-1")
    account_secret_rotate(account=account, secret="webhook-2")
    return account


@pytest.fixture
def user() -> User:
    user = UserFactory()
    TOTP.activate(user, APP_SECRET)
    RecoveryCodes.activate(user)
    return user


def rotate(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = TODAY, [settings.SECRET_KEY]


@pytest.fixture
def rotated(account: Account, user: User, settings: Any) -> None:
    """Everything is stored, and then another SECRET_KEY comes in the place of the one."""
    rotate(settings)


def stored() -> list[str]:
    """Each ciphertext of the accounts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key, webhook_secret, webhook_secret_previous FROM onlyfans_account ORDER BY id")
        return [token for row in cursor.fetchall() for token in row if token]


def opened() -> list[str]:
    """What the keys of the settings open, where models remember those of the process's start."""
    return [EncryptedTextField().f.decrypt(token).decode() for token in stored()]


def run(*options: str) -> str:
    out = StringIO()
    call_command("reencrypt_secrets", *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_every_encrypted_column_is_taken_along() -> None:
    encrypted = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedFieldMixin)
    }
    assert encrypted == {
        (holder.model, column) for holder in HOLDERS if isinstance(holder, Columns) for column in holder.columns
    }


def test_the_former_key_is_needed_by_nothing_afterwards(rotated: None, user: User, settings: Any) -> None:
    codes = RecoveryCodes.activate(user).generate_codes()
    assert "5 secrets, 5 were encrypted anew." in (told := run())
    assert "SECRET_KEY_FALLBACKS may be emptied" in told
    settings.SECRET_KEY_FALLBACKS = []
    assert opened() == ["key-1", "webhook-2", "webhook-1"]
    assert decrypt(Authenticator.objects.get(type="totp").data["secret"]) == APP_SECRET
    assert RecoveryCodes.activate(user).generate_codes() == codes


def test_codes_that_were_brought_along_are_kept(user: User, settings: Any) -> None:
    row = Authenticator.objects.get(type="recovery_codes")
    row.data = {"used_mask": 1, "migrated_codes": [encrypt("11112222"), encrypt("33334444")]}
    row.save()
    rotate(settings)
    stored_secrets_reencrypt(dry_run=False)
    settings.SECRET_KEY_FALLBACKS = []
    assert RecoveryCodes.activate(user).generate_codes() == ["11112222", "33334444"]
    assert Authenticator.objects.get(pk=row.pk).data["used_mask"] == 1


def test_a_second_run_leaves_all_as_it_is(rotated: None) -> None:
    run()
    before = stored()
    assert "0 were encrypted anew" in run()
    assert stored() == before


def test_a_run_that_broke_off_is_gone_on_with(rotated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (2, 3):
        Account.objects.create(creator=CreatorFactory(), account_id=f"acct_{number}", api_key=f"key-{number}")
    monkeypatch.setattr(stored_secrets, "BATCH", 1)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_secrets_reencrypt(dry_run=False, progress=stop)
    assert stored_secrets_reencrypt(dry_run=False).former == 3
    assert stored_secrets_reencrypt(dry_run=True).former == 0


def test_a_dry_run_counts_and_changes_nothing(rotated: None) -> None:
    before = stored()
    told = json.loads(run("--dry-run", "--json"))
    assert told == {"dryRun": True, "secrets": 5, "encryptedAnew": 0, "needFormerKey": 5, "unreadable": []}
    assert stored() == before
    assert "leave SECRET_KEY_FALLBACKS as it is" in run("--dry-run")


def test_what_no_key_opens_is_named_and_the_others_are_done(account: Account, rotated: None, settings: Any) -> None:
    Account.objects.filter(pk=account.pk).update(webhook_secret_previous=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE onlyfans_account SET webhook_secret = 'no ciphertext'")
    out, problems = StringIO(), StringIO()
    with pytest.raises(CommandError, match=r"1 secrets are opened by no key.*SECRET_KEY_FALLBACKS"):
        call_command("reencrypt_secrets", "--json", stdout=out, stderr=problems)
    named = f"onlyfans.Account {account.pk} of creator {account.creator_id}: no key opens its webhook_secret."
    assert problems.getvalue().strip() == named
    assert json.loads(out.getvalue())["encryptedAnew"] == 3
    settings.SECRET_KEY_FALLBACKS = []
    assert EncryptedTextField().f.decrypt(stored()[0]) == b"key-1"
    with pytest.raises(InvalidToken):
        opened()


def test_owners_read_of_no_key_that_nobody_stored(rotated: None, account: Account) -> None:
    count = AccountEvent.objects.count()
    stored_secrets_reencrypt(dry_run=False)
    assert AccountEvent.objects.count() == count
    account_connect(creator=account.creator, account_id="acct_1", api_key="key-2")
    assert AccountEvent.objects.order_by("pgh_id").last().pgh_label == "key_stored"


def test_the_log_has_one_line_of_it_and_no_secret(rotated: None, caplog: pytest.LogCaptureFixture) -> None:
    run()
    [line] = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    told = ("event", "secrets", "encrypted_anew", "unreadable")
    assert [line[name] for name in told] == ["stored secrets were encrypted anew", 5, 5, 0]
    assert not [token for token in [*stored(), "key-1", APP_SECRET] if token in caplog.text]


def test_one_that_was_stored_under_the_former_key_meanwhile_is_told_of(
    rotated: None, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was not restarted yet: the model's fields remember the key of before, as it does."""
    looked = stored_secrets_reencrypt

    def meanwhile(*, dry_run: bool, progress: Any = None) -> stored_secrets.Report:
        report = looked(dry_run=dry_run, progress=progress)
        if not dry_run:
            account_connect(creator=account.creator, account_id="acct_1", api_key="key-2")
        return report

    monkeypatch.setattr("huntaze.management.commands.reencrypt_secrets.stored_secrets_reencrypt", meanwhile)
    assert "1 secrets need a former key" in run()
