"""Answers what the vendor lists: fans, chats, messages, money and webhooks, page by page.
Touches the network through onlyfans/client.py; knows no table and no Django."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stamina

from onlyfans.client import VendorClient
from onlyfans.vendor_answers import VendorError

READ_SECONDS = 20.0
# A read that goes wrong on the way may be asked again: it changes nothing there.
ATTEMPTS = 5
PATIENCE_SECONDS = 180.0
PAUSE_MAX_SECONDS = 60.0
# A person waits for the accounts of a key.
ACCOUNTS_SECONDS = 10.0
FANS_A_PAGE = 20
CHATS_A_PAGE = MESSAGES_A_PAGE = TRANSACTIONS_A_PAGE = 100

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list as the vendor's JSON has it, and the cursor of the next page; empty at the end."""

    items: list[Item]
    cursor: str


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """An account as the vendor knows it; without a session (`signed_in`) nothing can be sent for it."""

    account_id: str
    name: str
    username: str
    signed_in: bool


def accounts(client: VendorClient) -> list[VendorAccount]:
    """The accounts that the client's key reaches, whatever its account. Asked once; raises VendorError."""
    found = client.ask(
        lambda sdk: [each.to_dict(mode="json", warnings=False) for each in sdk.accounts.list()],
        timeout_seconds=ACCOUNTS_SECONDS,
    )
    return [
        VendorAccount(
            account_id=str(item["id"]),
            name=str(item.get("display_name") or ""),
            username=str(item.get("onlyfans_username") or ""),
            # What the vendor leaves out is no trouble.
            signed_in=item.get("is_authenticated") is not False,
        )
        for item in _items(found)
        if item.get("id")
    ]


def fans_page(client: VendorClient, *, cursor: str = "") -> Page:
    """All fans, also those whose subscription ended; a short page is not the last one."""
    offset = int(cursor or 0)
    answer = _read(
        client,
        lambda sdk: sdk.fans.list_all(client.account_id, limit=FANS_A_PAGE, offset=offset),
    )
    data = _object(answer.get("data"))
    items = _items(data.get("list"))
    return Page(items, str(offset + FANS_A_PAGE) if data.get("hasMore") and items else "")


def chats_page(client: VendorClient, *, cursor: str = "") -> Page:
    """The chats, the one with the latest message first."""
    offset = int(cursor or 0)
    answer = _read(
        client,
        lambda sdk: sdk.chats.list(client.account_id, limit=str(CHATS_A_PAGE), offset=str(offset)),
    )
    items = _items(answer.get("data"))
    more = _object(answer.get("_pagination")).get("next_page")
    return Page(items, str(offset + CHATS_A_PAGE) if more and items else "")


def messages_page(client: VendorClient, *, fan_id: str, cursor: str = "") -> Page:
    """One chat's messages, the newest first."""
    before = {"first_id": cursor} if cursor else {}
    answer = _read(
        client,
        lambda sdk: sdk.chats.messages.list(fan_id, account=client.account_id, limit=str(MESSAGES_A_PAGE), **before),
    )
    items = _items(answer.get("data"))
    more = _object(answer.get("_pagination")).get("next_page")
    return Page(items, str(items[-1].get("id") or "") if more and items else "")


def transactions_page(client: VendorClient, *, since: str, cursor: str = "") -> Page:
    """Money from a time on (`2026-01-31T00:00:00+00:00`), the newest first; the vendor knows no end."""
    marker = {"marker": cursor} if cursor else {}
    answer = _read(
        client,
        lambda sdk: sdk.transactions.list(
            client.account_id, limit=str(TRANSACTIONS_A_PAGE), start_date=since, **marker
        ),
    )
    data = _object(answer.get("data"))
    items = _items(data.get("list"))
    next_marker = data.get("nextMarker")
    return Page(items, str(next_marker) if data.get("hasMore") and next_marker and items else "")


def webhooks(client: VendorClient, *, attempts: int | None = None) -> dict[str, str]:
    """The addresses that events go to, by their ids there."""
    answer = _read(client, lambda sdk: sdk.webhooks.list(), attempts=attempts)
    return {str(item.get("id")): str(item.get("url") or "") for item in _items(answer.get("data"))}


def webhook_create(client: VendorClient, *, url: str, events: list[str], secret: str) -> None:
    """Have this account's events sent there. Not repeated by itself: the second would send each event twice."""
    client.ask(
        lambda sdk: sdk.webhooks.create(
            account_scope="inclusive",
            account_ids=[client.account_id],
            endpoint_url=url,
            events=events,
            signing_secret=secret,
        ),
        timeout_seconds=READ_SECONDS,
    )


def webhook_delete(client: VendorClient, *, webhook_id: str) -> None:
    client.ask(lambda sdk: sdk.webhooks.delete(webhook_id), timeout_seconds=READ_SECONDS)


def _again(error: Exception) -> bool | float:
    """Whether a read may pass when asked again, and after which pause where the vendor names one."""
    if not isinstance(error, VendorError) or error.permanent or error.account_wide:
        return False
    return min(error.retry_after, PAUSE_MAX_SECONDS) if error.rate_limited and error.retry_after else True


def _read(client: VendorClient, request: Callable[[Any], Any], *, attempts: int | None = None) -> Item:
    """The answer's JSON; raises VendorError once it has been asked often enough."""
    for attempt in stamina.retry_context(
        on=_again, attempts=attempts or ATTEMPTS, timeout=PATIENCE_SECONDS, wait_initial=0.5
    ):
        with attempt:
            # Without warnings: the vendor's own figures do not fit the types that its SDK gives them.
            return _object(
                client.ask(lambda sdk: request(sdk).to_dict(mode="json", warnings=False), timeout_seconds=READ_SECONDS)
            )
    raise AssertionError("unreachable")


def _object(value: object) -> Item:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Item]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
