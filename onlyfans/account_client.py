"""Answers how the vendor is reached for an account. Touches nothing by itself.

Apart from the selectors, which every process loads: the vendor's SDK takes most of a second.
"""

from django.conf import settings

from onlyfans.client import VendorClient
from onlyfans.models import Account


def vendor_client(account: Account) -> VendorClient:
    """A client that signs as the account."""
    return VendorClient(base_url=settings.ONLYFANS_API_BASE_URL, account_id=account.account_id, api_key=account.api_key)
