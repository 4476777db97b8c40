"""Signs and letters of currencies beside an amount, and the code that each stands for. Touches nothing."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

DOLLARS = "$"  # of which country, the sign alone does not say
# As people, banks and CLDR write them, in lower case and without blanks.
_SIGNS = {
    "USD": "us$ $us usd$ $usd",
    "CAD": "ca$ $ca can$ cdn$ cad$ $cad c$ $c",
    "AUD": "a$ $a au$ $au aud$ $aud",
    "NZD": "nz$ $nz nzd$ $nzd",
    "HKD": "hk$ $hk hkd$ $hkd",
    "SGD": "s$ sg$ $sg sgd$ $sgd",
    "TWD": "nt$ $nt $tw twd$ $twd",
    "MXN": "mx$ $mx mxn$ $mxn",
    "BRL": "r$ brl$ $brl",
    "ARS": "ar$ $ar ars$ $ars",
    "CLP": "cl$ $cl clp$ $clp",
    "COP": "co$ $co cop$ $cop",
    "EUR": "€ euro euros",
    "GBP": "£ £gb",
    "CHF": "fr. sfr sfr. fr.-",
    "JPY": "円 jp¥",
    "CNY": "元 cn¥",
    "PLN": "zł",
    "CZK": "kč",
    "HUF": "ft",
    "INR": "₹",
    "RUB": "₽ руб руб.",
    "UAH": "₴",
    "TRY": "₺",
    "KRW": "₩",
    "ILS": "₪",
    "VND": "₫",
    "THB": "฿",
    "PHP": "₱",
    "NGN": "₦",
    "KZT": "₸",
    "RON": "lei",
    "BGN": "лв лв.",
    "SEK": "skr",
    "NOK": "nkr",
    "DKK": "dkr dkr.",
}
_CODES = {sign: code for code, signs in _SIGNS.items() for sign in signs.split()}
# Signs of several countries; a column of currencies or the place of a cell's format says which.
_SHARED = {
    DOLLARS: ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP"),
    "¥": ("JPY", "CNY"),
    "￥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "kr.": ("SEK", "NOK", "DKK", "ISK"),
}
_SHARED |= {"dollar": _SHARED[DOLLARS], "dollars": _SHARED[DOLLARS]}
# Where a format says the place and only a shared sign: `[$$-1009]` is Canada's dollar. Microsoft's ids of languages,
# https://learn.microsoft.com/openspecs/windows_protocols/ms-lcid, of whose last 16 bits the lower ten are the language.
_PLACES = {
    0x409: "USD", 0x1009: "CAD", 0xC0C: "CAD", 0xC09: "AUD", 0x1409: "NZD", 0xC04: "HKD", 0x3C09: "HKD",
    0x1004: "SGD", 0x4809: "SGD", 0x404: "TWD", 0x80A: "MXN", 0x2C0A: "ARS", 0x340A: "CLP", 0x240A: "COP",
    0x540A: "USD", 0x411: "JPY", 0x804: "CNY", 0x41D: "SEK", 0x414: "NOK", 0x814: "NOK", 0x406: "DKK", 0x40F: "ISK",
}  # fmt: skip
# Of a column Currency.
_NAMES = {"usdollar": "USD", "usdollars": "USD", "pound": "GBP", "pounds": "GBP", "poundsterling": "GBP"}
# Codes that are no words, which a header may have in small letters.
_SMALL = frozenset(("usd", "eur", "gbp", "cad", "aud", "chf", "nzd", "jpy", "sek", "nok", "dkk", "pln", "brl", "mxn"))
# The tokens that may stand beside an amount, the longest first.
_SIGNED = sorted({*_CODES, *_SHARED}, key=len, reverse=True)
TOKEN = "(?:" + "|".join([*map(re.escape, _SIGNED), "[a-z]{3}"]) + ")"


@cache
def codes() -> frozenset[str]:
    """The codes of ISO 4217, those of the past included."""
    from babel.core import get_global  # only where a file has other money than dollars

    return frozenset(get_global("all_currencies"))


def currency_meant(token: str) -> tuple[str, ...]:
    """The codes that signs or letters may stand for, in any case: one, several for a shared sign, none if unknown."""
    plain = re.sub(r"[\s\u00a0\u202f\u2007\u2009\u200e\u200f]", "", token.casefold())
    if plain in _SHARED:
        return _SHARED[plain]
    if found := _CODES.get(plain) or _NAMES.get(plain):
        return (found,)
    if plain.upper() in codes():
        return (plain.upper(),)
    # "$ … USD", "US$ … USD": a sign before the amount and letters behind it.
    for sign in _SIGNED:
        if plain.startswith(sign) and plain[len(sign) :]:
            return tuple(code for code in currency_meant(plain[len(sign) :]) if code in currency_meant(sign))
    return ()


def currency_word(word: str) -> bool:
    """Whether a word of a header or a format is a currency, or a sign of one that is not known."""
    if any(unicodedata.category(character) == "Sc" for character in word):
        return True
    # "top" and "all" are words, TOP and ALL are currencies.
    return bool(currency_meant(word)) and (word.isupper() or len(word) != 3 or word in _SMALL)


def currency_of_format(sign: str, place: str) -> str:
    """What a cell's format puts beside its number, with the currency's code where the place says more than the sign.

    `place` is the hexadecimal id behind the dash of `[$$-1009]`, empty where there is none.
    """
    meant = currency_meant(sign) if sign else ()
    if len(meant) == 1 or not sign:
        return sign
    if place and (code := _PLACES.get(int(place, 16) & 0xFFFF)) and (code in meant):
        return code
    return sign
