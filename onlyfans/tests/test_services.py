"""Answers whether a creator's vendor account is connected, rotated and kept apart. Touches the database."""

import pytest
from django.db import connection

from crm.errors import Conflict, InvalidInput
from crm.models import Creator
from onlyfans.models import AccountState
from onlyfans.selectors import account_for_creator
from onlyfans.services import account_connect, account_disconnect

pytestmark = pytest.mark.django_db


@pytest.fixture
def creator() -> Creator:
    return Creator.objects.create(name="Ava")


def test_a_connected_account_is_found_with_its_key(creator: Creator) -> None:
    account_connect(creator=creator, account_id=" acct_1a2B-3c ", api_key=" ofapi_1 \n")
    account = account_for_creator(creator.pk)
    assert account is not None
    assert (account.account_id, account.api_key, account.state) == ("acct_1a2B-3c", "ofapi_1", AccountState.CONNECTED)


def test_the_key_is_stored_encrypted(creator: Creator) -> None:
    account_connect(creator=creator, account_id="acct_1", api_key="ofapi_1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM onlyfans_account")
        assert "ofapi_1" not in str(cursor.fetchall())


def test_connecting_again_rotates_the_key_and_reconnects(creator: Creator) -> None:
    first = account_connect(creator=creator, account_id="acct_1", api_key="old")
    account_disconnect(creator=creator)
    second = account_connect(creator=creator, account_id="acct_2", api_key="new")
    assert second.pk == first.pk
    account = account_for_creator(creator.pk)
    assert account is not None
    assert (account.account_id, account.api_key, account.state) == ("acct_2", "new", AccountState.CONNECTED)


def test_a_disconnected_account_stays_known(creator: Creator) -> None:
    account_connect(creator=creator, account_id="acct_1", api_key="key")
    account_disconnect(creator=creator)
    account = account_for_creator(creator.pk)
    assert account is not None
    assert account.state == AccountState.DISCONNECTED


def test_an_account_belongs_to_one_creator(creator: Creator) -> None:
    account_connect(creator=creator, account_id="acct_1", api_key="key")
    other = Creator.objects.create(name="Mila")
    with pytest.raises(Conflict, match="Another creator"):
        account_connect(creator=other, account_id="acct_1", api_key="key")
    assert account_for_creator(other.pk) is None


@pytest.mark.parametrize(
    ("account_id", "api_key", "fields"),
    [
        ("", "key", ["account_id"]),
        ("demo1", "key", ["account_id"]),
        ("acct_../x", "key", ["account_id"]),
        ("acct_" + "x" * 60, "key", ["account_id"]),
        ("acct_1", "", ["api_key"]),
        ("acct_1", "two words", ["api_key"]),
        ("acct_1", "clé", ["api_key"]),
        ("", "a\nb", ["account_id", "api_key"]),
    ],
)
def test_details_that_cannot_work_are_named_by_field(
    creator: Creator, account_id: str, api_key: str, fields: list[str]
) -> None:
    with pytest.raises(InvalidInput) as raised:
        account_connect(creator=creator, account_id=account_id, api_key=api_key)
    assert [error.field for error in raised.value.errors] == fields
    assert account_for_creator(creator.pk) is None
