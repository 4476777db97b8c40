"""Unknown names in a request, and the nearest right one. Touches nothing."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from django.utils.translation import gettext

# What is echoed of a name that the caller made up.
NAME_MAX = 60
# A shorter piece begins too many names to mean one of them.
PIECE_MIN = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """The name that was probably meant, empty where none is near.

    `media_urls` and `mediaurls` mean `mediaUrls`, `price` means `priceCents`, `tag` means `tags`.
    """
    folded = {_folded(each): each for each in sorted(known)}
    wanted = _folded(name[:NAME_MAX])
    if wanted in folded:
        return folded[wanted]
    pieces = [
        each
        for each in folded
        if min(len(each), len(wanted)) >= PIECE_MIN and (each.startswith(wanted) or wanted.startswith(each))
    ]
    if pieces:
        return folded[min(pieces, key=lambda each: abs(len(each) - len(wanted)))]
    # By their beginnings too: `pice` is `priceCents` misspelt and cut short.
    heads = {_folded(head): each for each in sorted(known) for head in _heads(each)}
    close = get_close_matches(wanted, heads, n=1, cutoff=0.65)
    return heads[close[0]] if close else ""


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The sentence that refuses a name: with the nearest right one, else with all there are."""
    names = sorted(known)
    told = {"name": name[:NAME_MAX], "nearest": nearest(name, names), "names": ", ".join(names)}
    if told["nearest"]:
        return gettext("There is no “%(name)s” here. Did you mean “%(nearest)s”?") % told
    if names:
        return gettext("There is no “%(name)s” here. There are: %(names)s.") % told
    return gettext("There is no “%(name)s” here. Nothing is expected.") % told


def not_a_choice(value: str, choices: Iterable[str]) -> str:
    """The sentence that refuses a value; an empty choice, which means none, is not named."""
    told = {"value": value, "choices": ", ".join(choice for choice in choices if choice)}
    return gettext("“%(value)s” is not one of the choices: %(choices)s.") % told


def _heads(name: str) -> list[str]:
    """`min`, `minValue` and `minValueCents` of the last; pieces too short to mean it are left out."""
    ends = [*(found.start() for found in re.finditer("[A-Z]", name)), len(name)]
    return [name[:end] for end in ends if end >= PIECE_MIN]


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
