"""Answers what one cell says: money, a date, an id, a handle, a text. Touches nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext_noop

from crm.stored_words import kept_sentence

# Ten million dollars from one fan is a slipped decimal mark, not a fan.
VALUE_MAX_CENTS = 10_000_000_00
NAME_MAX, EMAIL_MAX, TAG_MAX, TAGS_MAX, NOTES_MAX = 200, 254, 50, 50, 10_000
# How much of a cell is repeated beside its error.
SHOWN_MAX = 100
# A time zone ahead of ours may be in tomorrow; nobody was seen later than that.
FUTURE_MAX = timedelta(days=1)
YEAR_MIN = 2000

# Signs for "nothing" that no tool uses for something. Words are left out where they could be somebody's name.
EMPTY_SIGNS = frozenset({"", "-", "--", "—", "–", "n/a", "#n/a"})
EMPTY_WORDS = EMPTY_SIGNS | {"na", "nan", "none", "null", "nil", "never", "jamais", "aucun", "aucune", "unknown"}

MINUS = r"[-−–]"
CURRENCY = r"(?:us\$|ca\$|a\$|usd|eur|gbp|cad|aud|chf|[$€£])"
AMOUNT = re.compile(rf"(\+|{MINUS})?{CURRENCY}?(\+|{MINUS})?([0-9.,]+){CURRENCY}?")
AMOUNT_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009'’]")
# Digits in threes, as thousands are written; "0,125" is none.
EN_THOUSANDS, FR_THOUSANDS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})", r"[1-9][0-9]{0,2}(?:\.[0-9]{3})"
AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
DOT_DECIMAL = re.compile(rf"(?:[0-9]*|{EN_THOUSANDS}+)\.[0-9]+|{EN_THOUSANDS}{{2,}}")
COMMA_DECIMAL = re.compile(rf"(?:[0-9]*|{FR_THOUSANDS}+),[0-9]+|{FR_THOUSANDS}{{2,}}")

HANDLE = re.compile(r"[a-z0-9._-]{1,64}")
PLATFORM_ID = re.compile(
    r"0*([1-9][0-9]{0,19})(?:\.0+)?"
)  # ".0" is how a spreadsheet that took it for a number saves it
EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan janvier janv",
            "february feb fevrier fevr fev",
            "march mar mars",
            "april apr avril avr",
            "may mai",
            "june jun juin",
            "july jul juillet juil",
            "august aug aout",
            "september sep sept septembre",
            "october oct octobre",
            "november nov novembre",
            "december dec decembre",
        ),
        start=1,
    )
    for name in names.split()
}
TIME = (
    r"(?:[T, ]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<zone>z|utc|gmt|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
YEAR_FIRST = re.compile(rf"(?P<year>[0-9]{{4}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}}){TIME}", re.I)
NUMBERS = re.compile(rf"(?P<a>[0-9]{{1,2}})([/.-])(?P<b>[0-9]{{1,2}})\2(?P<year>[0-9]{{4}}){TIME}", re.I)
MONTH_FIRST = re.compile(
    rf"(?P<name>[a-z]{{3,9}})\.? (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}}){TIME}", re.I
)
DAY_FIRST = re.compile(
    rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|er)?[ -](?P<name>[a-z]{{3,9}})\.?,?[ -](?P<year>[0-9]{{4}}){TIME}", re.I
)
ACCENTS = str.maketrans("éèûôÉÈÛÔ", "eeuoEEUO")

# What an import keeps of a wrong row, in English, for crm.stored_words to say it in the reader's language.
WRONG_WIDTH = kept_sentence("The row has %(cells)s cells where the header has %(width)s.")
NAME_TOO_LONG = kept_sentence("A name has at most %(most)s characters.")
TOO_MANY_TAGS = kept_sentence("At most %(tags)s tags of at most %(characters)s characters each.")
NOTES_TOO_LONG = kept_sentence("Notes have at most %(most)s characters.")
AMOUNT_TOO_LARGE = kept_sentence("An amount is at most %(most)s.")
TOO_EARLY = kept_sentence("This date is before %(year)s.")
DAY_MONTH, MONTH_DAY = "D/M/YYYY", "M/D/YYYY"


class WrongError(ValueError):
    """The cell is not what its column says; the text is the reason, for a person."""


def unescape(text: str) -> str:
    """Undo what our own exports do to text that a spreadsheet would run (defusedcsv): a mended file comes back."""
    if len(text) > 1 and text[0] == "'" and text[1] in "@+-=|%":
        return text[1:].replace("\\|", "|")
    return text


def platform_id(text: str) -> str | None:
    if text.lower() in EMPTY_SIGNS:
        return None
    found = PLATFORM_ID.fullmatch(text)
    if not found:
        raise WrongError(gettext_noop("This is no fan id: an id has digits only."))
    return found[1]


def handle(text: str) -> str | None:
    """The username in lower case, without `@` and without the address of the profile."""
    plain = text.lower()
    if plain in EMPTY_SIGNS:
        return None
    plain = re.sub(r"^(?:https?://)?(?:www\.)?onlyfans\.com/", "", plain).rstrip("/").removeprefix("@")
    if not HANDLE.fullmatch(plain):
        raise WrongError(
            gettext_noop("This is no username: letters, digits, dots, dashes and underscores, at most 64.")
        )
    return plain


def name(text: str) -> str | None:
    plain = " ".join(text.split())
    if plain.lower() in EMPTY_SIGNS:
        return None
    if len(plain) > NAME_MAX:
        raise WrongError(NAME_TOO_LONG % {"most": NAME_MAX})
    return plain


def email(text: str) -> str | None:
    if text.lower() in EMPTY_WORDS:
        return None
    if len(text) > EMAIL_MAX or not EMAIL.fullmatch(text) or len(text.partition("@")[0]) > 64:
        raise WrongError(gettext_noop("This is no e-mail address."))
    return text


def tags(text: str) -> tuple[str, ...] | None:
    """The parts between commas, semicolons or bars, each once."""
    if text.lower() in EMPTY_WORDS:
        return None
    parts = tuple(dict.fromkeys(" ".join(part.split()) for part in re.split(r"[,;|\n]", text) if part.strip()))
    if len(parts) > TAGS_MAX or any(len(part) > TAG_MAX for part in parts):
        raise WrongError(TOO_MANY_TAGS % {"tags": TAGS_MAX, "characters": TAG_MAX})
    return parts or None


def notes(text: str) -> str | None:
    if text in EMPTY_SIGNS:
        return None
    if len(text) > NOTES_MAX:
        raise WrongError(NOTES_TOO_LONG % {"most": f"{NOTES_MAX:,}"})
    return text


def amount(text: str) -> tuple[str, str]:
    """Sign and digits with separators of what may be an amount of money: `("-", "1,234.56")`."""
    plain = AMOUNT_BLANKS.sub("", text.lower())
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    found = AMOUNT.fullmatch(plain)
    if not found or (found[1] and found[2]):
        raise WrongError(gettext_noop("This is no amount of money."))
    sign = (found[1] or found[2] or "").replace("+", "")
    return ("-" if sign else "", found[3])


def money_cents(text: str, *, decimal_mark: str) -> int | None:
    """Whole cents, exactly. `decimal_mark` settles what can be read in two ways alone: 1,234 and 1.234."""
    if text.lower() in EMPTY_WORDS:
        return None
    sign, digits = amount(text)
    if AMBIGUOUS.fullmatch(digits):
        mark = decimal_mark
    elif digits.isdigit() or DOT_DECIMAL.fullmatch(digits):
        mark = "."
    elif COMMA_DECIMAL.fullmatch(digits):
        mark = ","
    else:
        raise WrongError(gettext_noop("This is no amount of money."))
    whole, _, fraction = digits.replace("," if mark == "." else ".", "").partition(mark)
    fraction = fraction.rstrip("0")
    if len(fraction) > 2:
        raise WrongError(gettext_noop("An amount has whole cents: at most two decimals."))
    whole = whole.lstrip("0")
    if len(whole) > 12 or (cents := int((whole or "0") + fraction.ljust(2, "0"))) > VALUE_MAX_CENTS:
        raise WrongError(AMOUNT_TOO_LARGE % {"most": f"{VALUE_MAX_CENTS // 100:,}"})
    if sign and cents:
        raise WrongError(gettext_noop("An amount that a fan spent cannot be negative."))
    return cents


def moment(text: str, *, order: str, latest: datetime) -> datetime | None:
    """A date, or date and time; without an offset it is taken as UTC, without a time as the day's beginning."""
    plain = " ".join(text.split())
    if plain.lower() in EMPTY_WORDS:
        return None
    plain = plain.translate(ACCENTS)
    if found := YEAR_FIRST.fullmatch(plain):
        month, day = int(found["month"]), int(found["day"])
    elif found := NUMBERS.fullmatch(plain):
        day, month = int(found["a"]), int(found["b"])
        if order == MONTH_DAY:
            day, month = month, day
    elif found := (MONTH_FIRST.fullmatch(plain) or DAY_FIRST.fullmatch(plain)):
        month, day = MONTHS.get(found["name"].lower(), 0), int(found["day"])
    else:
        raise WrongError(gettext_noop("This is no date that can be read; write it as YYYY-MM-DD."))
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0) if 1 <= hour <= 12 else 24
    if (year := int(found["year"])) < YEAR_MIN:
        raise WrongError(TOO_EARLY % {"year": YEAR_MIN})
    if year > latest.year + 1:
        raise WrongError(gettext_noop("This date is in the future."))
    try:
        when = datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), tzinfo=UTC)
    except ValueError:
        raise WrongError(gettext_noop("There is no such date.")) from None
    zone = found["zone"] or ""
    if zone[:1] in {"+", "-"}:
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        when += -offset if zone[0] == "+" else offset
    if when > latest:
        raise WrongError(gettext_noop("This date is in the future."))
    return when
