"""Answers whether the vendor sends an account's events here, and sees to it. Touches the vendor and the account."""

import secrets
from enum import StrEnum

from onlyfans import client_reads
from onlyfans.account_client import vendor_client
from onlyfans.client import VendorClient
from onlyfans.event_payloads import KEPT_ONLY, EventKind
from onlyfans.models import Account
from onlyfans.services import account_secret_rotate, account_webhook_registered

EVENTS = [*(kind.value for kind in EventKind), *KEPT_ONLY]


class Setup(StrEnum):
    """What was found, or done."""

    THERE = "there"
    MADE = "made"
    MISSING = "missing"


def webhook_url(account: Account, *, base_url: str) -> str:
    return f"{base_url.rstrip('/')}/api/onlyfans/webhooks/{account.account_id}"


def webhook_connect(
    account: Account,
    *,
    base_url: str,
    rotate: bool = False,
    dry_run: bool = False,
    attempts: int = client_reads.ATTEMPTS,
) -> Setup:
    """Have the vendor send this account's events to `base_url`; one that is registered with a secret of ours stays.

    rotate: give it a new secret; the one before counts until the next rotation. attempts: how often the vendor is asked
    what is there, one where a person waits. Raises VendorError.
    """
    client, url = vendor_client(account), webhook_url(account, base_url=base_url)
    ours = _ours(client, url, attempts)
    if ours and account.webhook_secret and not rotate:
        account_webhook_registered(account=account)
        return Setup.THERE
    if dry_run:
        return Setup.MISSING
    secret = secrets.token_urlsafe(32)
    # Before the vendor signs with it.
    account_secret_rotate(account=account, secret=secret)
    client_reads.webhook_create(client, url=url, events=EVENTS, secret=secret)
    for webhook_id in ours:
        client_reads.webhook_delete(client, webhook_id=webhook_id)
    account_webhook_registered(account=account)
    return Setup.MADE


def webhook_disconnect(account: Account, *, base_url: str) -> None:
    """Have the vendor send nothing more to `base_url`, asked once. Raises VendorError."""
    client = vendor_client(account)
    for webhook_id in _ours(client, webhook_url(account, base_url=base_url), attempts=1):
        client_reads.webhook_delete(client, webhook_id=webhook_id)


def _ours(client: VendorClient, url: str, attempts: int) -> list[str]:
    return [
        webhook_id for webhook_id, known in client_reads.webhooks(client, attempts=attempts).items() if known == url
    ]
