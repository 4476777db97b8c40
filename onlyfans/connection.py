"""Answers whether a creator's OnlyFans account is connected, and connects, checks and disconnects it.
Asks the vendor first and writes through services after; no key is logged or given back."""

import structlog
from django.conf import settings
from django.utils.translation import gettext

from crm.errors import Conflict, FieldError, HuntazeError, InvalidInput, Unavailable
from crm.models import Creator
from onlyfans import client_reads
from onlyfans.client import VendorClient
from onlyfans.client_reads import VendorAccount
from onlyfans.models import Account, AccountState
from onlyfans.selectors import account_for_creator
from onlyfans.services import API_KEY, account_connect, account_disconnect, account_state_set
from onlyfans.vendor_answers import VendorError
from onlyfans.webhook_setup import webhook_connect, webhook_disconnect

logger = structlog.get_logger(__name__)
RETRY_SECONDS = 60


def connection_open(
    *, creator: Creator, api_key: str, base_url: str, account_id: str = "", cancel_waiting: bool = False
) -> Account:
    """Connect the creator by a vendor's key, or rotate the key; events come to `base_url` from then on.

    account_id: which of the accounts that the key reaches; without it the one that is connected already, else the only
    one there is. cancel_waiting: where that is another than before, cancel what waits to be sent from that one.
    Whether events come is the account's `webhook_registered_at`: without them it is connected all the
    same. Raises InvalidInput (`key_refused`, `key_without_accounts`, `account_not_reached`), Conflict
    (`account_not_named` with the `accounts` to choose from in `extra`, `account_taken`, `messages_waiting` with how
    many, `messages_being_sent`, `credits_used_up`) or Unavailable; nothing is changed then.
    """
    api_key, account_id = api_key.strip(), account_id.strip()
    if not API_KEY.fullmatch(api_key):
        raise _key_refused(
            gettext("A key is 1 to 500 printable ASCII characters without blanks. Copy it again, all of it.")
        )
    known = account_for_creator(creator.pk)
    chosen = _choose(_accounts(api_key), account_id=account_id, known=known.account_id if known else "")
    account = account_connect(
        creator=creator, account_id=chosen.account_id, api_key=api_key, cancel_waiting=cancel_waiting
    )
    if not chosen.signed_in:
        account_state_set(account=account, state=AccountState.SESSION_EXPIRED)
    _events_register(account, base_url=base_url)
    logger.info("account connected", creator_id=creator.pk, account=account.account_id, state=account.state)
    return account


def connection_check(*, creator: Creator, base_url: str) -> Account:
    """Connect once more with the stored key: after a session that ended, a disconnection, events that did not come.

    Raises as connection_open does, and Conflict (`not_connected`) where no key is stored.
    """
    account = account_for_creator(creator.pk)
    if account is None:
        raise Conflict(gettext("No OnlyFans account is connected. Connect one first."), code="not_connected")
    return connection_open(creator=creator, api_key=account.api_key, account_id=account.account_id, base_url=base_url)


def connection_close(*, creator: Creator, base_url: str) -> None:
    """Disconnect the creator's account, if there is one: all data stays, nothing is sent, no event comes in.

    The vendor is asked to send no more events; where it cannot be reached they are refused here, and it ends by itself.
    """
    account = account_for_creator(creator.pk)
    if account is None or account.state == AccountState.DISCONNECTED:
        return
    account_disconnect(creator=creator)
    try:
        webhook_disconnect(account, base_url=base_url)
    except VendorError as error:
        logger.warning("webhook not removed at the vendor", account=account.account_id, code=error.code)
    logger.info("account disconnected", creator_id=creator.pk, account=account.account_id)


def _accounts(api_key: str) -> list[VendorAccount]:
    client = VendorClient(base_url=settings.ONLYFANS_API_BASE_URL, account_id="", api_key=api_key)
    try:
        found = client_reads.accounts(client)
    except VendorError as error:
        raise _problem_of(error) from error
    if not found:
        raise InvalidInput(
            gettext(
                "The key works, but reaches no OnlyFans account. Add your account at the vendor, then connect it here."
            ),
            code="key_without_accounts",
            errors=(FieldError("api_key", "key_without_accounts", gettext("This key reaches no OnlyFans account.")),),
        )
    return found


def _choose(accounts: list[VendorAccount], *, account_id: str, known: str) -> VendorAccount:
    by_id = {account.account_id: account for account in accounts}
    if account_id and account_id not in by_id:
        detail = gettext("This key does not reach that account. Choose one that it reaches, or use another key.")
        raise InvalidInput(
            detail,
            code="account_not_reached",
            errors=(FieldError("account_id", "account_not_reached", detail),),
        )
    wanted = account_id or known
    if wanted in by_id:
        return by_id[wanted]
    # Another account in the place of the one before is nobody's oversight: it has to be named.
    if len(accounts) == 1 and not known:
        return accounts[0]
    raise Conflict(
        gettext("The key does not reach the account that was connected here. Choose another one, or use another key.")
        if known
        else gettext("The key reaches several accounts. Choose one."),
        code="account_not_named",
        extra={
            "accounts": [
                {"accountId": each.account_id, "name": each.name, "username": each.username, "signedIn": each.signed_in}
                for each in accounts
            ]
        },
    )


def _events_register(account: Account, *, base_url: str) -> None:
    try:
        webhook_connect(account, base_url=base_url, attempts=1)
    except VendorError as error:
        logger.warning("webhook not registered", account=account.account_id, code=error.code)
    account.refresh_from_db(fields=["webhook_registered_at"])


def _key_refused(detail: str) -> InvalidInput:
    return InvalidInput(detail, code="key_refused", errors=(FieldError("api_key", "key_refused", detail),))


def _problem_of(error: VendorError) -> HuntazeError:
    """What somebody with a key at hand can do about the vendor's refusal."""
    if error.code in ("unauthorized", "forbidden"):
        return _key_refused(
            gettext("The vendor does not accept this key. Copy it again from the vendor's page of API keys.")
        )
    if error.code == "credits_used_up":
        return Conflict(
            gettext("The vendor's credits are used up. Top them up there, then connect again."), code=error.code
        )
    return Unavailable(
        gettext("The vendor does not answer as it should. Nothing was changed; try again in a few minutes."),
        code="vendor_unavailable",
        retry_after=error.retry_after or RETRY_SECONDS,
    )
