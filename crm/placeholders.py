"""Placeholders in a text to fans: which there are, what is wrong with a text, the text for one fan. Touches nothing.

One grammar for every text that people or programs write here: `{name}`, `{firstName}` and `{handle}` are filled in,
`{{` and `}}` are a brace, any other word in braces is an error that names it. So is a word whose brace is not closed. A
brace beside no word, as in `:{`, stays what it is. static/placeholders.js knows the same grammar.

A text is read once: what was filled in is never read again, nor is anything that a fan or the platform wrote.
"""

import re
from difflib import get_close_matches

from django.utils.translation import gettext

from crm.errors import FieldError

PLACEHOLDERS = ("{name}", "{firstName}", "{handle}")
# "Hey {name}" to a fan of whom neither name nor handle is known.
NAMELESS = "there"
# How much of an unknown placeholder an error repeats.
ECHO_MAX = 40
_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<closed>[^{}\r\n]*)\}|\{(?P<open>\w[^{}\s]*)")
_BRACES = {"{{": "{", "}}": "}"}
# As short as what is filled in can be.
_SHORTEST = "x"


def placeholders_check(text: str, *, field: str = "content") -> list[FieldError]:
    """What is wrong with the placeholders of a text; each wrong one is named once, with its place and what is right."""
    found: dict[str, FieldError] = {}
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _BRACES or token in PLACEHOLDERS or token in found:
            continue
        unclosed = match["closed"] is None
        told = {
            "found": token if len(token) <= ECHO_MAX else f"{token[:ECHO_MAX]}…",
            "position": match.start() + 1,
            "instead": _instead(match["open"] if unclosed else match["closed"]),
        }
        if unclosed:
            words = gettext("%(found)s has no closing brace (character %(position)s). %(instead)s")
        else:
            words = gettext("%(found)s is no field of a fan (character %(position)s). %(instead)s")
        code = "unclosed_placeholder" if unclosed else "unknown_placeholder"
        found[token] = FieldError(field, code, words % told)
    return list(found.values())


def _instead(word: str) -> str:
    """What the writer may have meant."""
    names = {_folded(each): each for each in PLACEHOLDERS}
    if near := get_close_matches(_folded(word[:ECHO_MAX]), names, n=1):
        return gettext("Did you mean %(nearest)s? For a brace, write it twice.") % {"nearest": names[near[0]]}
    known = gettext("%(first)s and %(last)s") % {"first": ", ".join(PLACEHOLDERS[:-1]), "last": PLACEHOLDERS[-1]}
    return gettext("There are %(known)s. For a brace, write it twice.") % {"known": known}


def _folded(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())


def placeholder_values(*, name: str, handle: str) -> dict[str, str]:
    """What each placeholder becomes. A fan without a name is called by the handle, one without a handle by the name.

    One with neither is "there".
    """
    called = " ".join(name.split()) or handle or NAMELESS
    return {"name": called, "firstName": called.split(" ")[0], "handle": handle or called}


def placeholders_fill(text: str, *, name: str, handle: str) -> str:
    """The text for one fan; placeholders_check has found nothing in it. Braces in a name stay what they are."""
    if "{" not in text and "}" not in text:
        return text
    values = placeholder_values(name=name, handle=handle)
    return _TOKEN.sub(lambda found: _BRACES.get(found[0]) or values.get(found["closed"] or "", found[0]), text)


def placeholders_fill_shortest(text: str) -> str:
    """The text as the fan with the shortest name would read it: if that is too long, so is every other."""
    return placeholders_fill(text, name=_SHORTEST, handle=_SHORTEST)
