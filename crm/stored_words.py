"""Answers what a sentence that a row keeps in English says in the reader's language. Touches nothing.

Workers write such sentences (why a message failed, what is wrong with a line of a file) and know no reader.
"""

import re

from django.utils.translation import get_language, gettext

_SHAPES: dict[str, re.Pattern[str]] = {}
# What follows a sentence in brackets (a status, a code) is nobody's to translate.
_BRACKETS = re.compile(r"(.+?)( \([^()]*\)\.)", re.DOTALL)
# Values that are words of ours themselves; any other is a number or somebody's data.
_WORDS = ("reason",)
# Values that are several words of ours, with commas between them.
_WORD_LISTS = ("fields",)


def kept_sentence(template: str) -> str:
    """The template itself, marked for translation and known to in_words: what a row keeps is it with its values.

    One with values, which have the form `%(name)s`, stands at the top of a module that the web process loads.
    """
    if "%(" in template:
        _SHAPES[template] = re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(template)), re.DOTALL)
    return template


def said(template: str, **values: object) -> str:
    """The template in the reader's language with these values, for those who know no Django; in a worker, English."""
    return gettext(template) % values


def in_words(stored: str | None) -> str:
    """The sentence in the reader's language where the catalogue knows it, else as it is; empty where there is none."""
    if not stored or get_language() == "en":
        return stored or ""
    if (words := gettext(stored)) != stored:
        return words
    if (found := _BRACKETS.fullmatch(stored)) and (words := gettext(found[1])) != found[1]:
        return f"{words}{found[2]}"
    for template, shape in _SHAPES.items():
        if found := shape.fullmatch(stored):
            values = found.groupdict()
            for name in _WORDS:
                if name in values:
                    values[name] = in_words(values[name])
            for name in _WORD_LISTS:
                if name in values:
                    values[name] = ", ".join(map(gettext, values[name].split(", ")))
            return gettext(template) % values
    return stored
