"""Answers, for any page, whether the creator's OnlyFans account is in trouble. Reads through the selectors."""

from typing import Any

from django import template
from django.utils.translation import gettext_lazy

from onlyfans.models import AccountState
from onlyfans.selectors import account_trouble

register = template.Library()
WORDS = {
    AccountState.DISCONNECTED: gettext_lazy("The OnlyFans account is disconnected."),
    AccountState.SESSION_EXPIRED: gettext_lazy("The OnlyFans session ended."),
}


@register.simple_tag(takes_context=True)
def account_trouble_words(context: dict[str, Any]) -> str:
    """One sentence, empty where all is well or no account was ever connected."""
    membership = context.get("current_membership")
    state = account_trouble(creator=membership.creator) if membership else None
    return str(WORDS[state]) if state else ""
