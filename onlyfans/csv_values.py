"""Answers what one cell says: money, a date, an id, a handle, a text. Touches nothing."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

from crm.stored_words import kept_sentence
from onlyfans.csv_currencies import TOKEN, currency_meant

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
AMOUNT = re.compile(rf"(\+|{MINUS})?({TOKEN})?(\+|{MINUS})?([0-9.,]+)({TOKEN})?(\+|{MINUS})?")
# What nobody sees and copying brings along: zero-width spaces and marks of writing direction. Those that join letters
# and emoji (U+200C, U+200D) are part of a text.
INVISIBLE = "\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
EDGES = re.compile(f"^[\\s{INVISIBLE}]+|[\\s{INVISIBLE}]+$")
ANYWHERE = re.compile(f"[{INVISIBLE}]")
# How people keep a spreadsheet from reading a number: ="0123" and '0123.
GUARDED = re.compile(r'="((?:[^"]|"")*)"|=([+-]?[0-9.]+)')
# Words that begin with an apostrophe: 't Hooft, 's Gravenhage.
CLIPPED = re.compile(r"'[a-z]{1,2}[ -]")
# What a spreadsheet shows where a formula failed, by Excel in four languages and by LibreOffice.
ERROR_CELL = re.compile(
    r"#(?:REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!|FIELD!|CONNECT!|BLOCKED!|UNKNOWN!|GETTING_DATA|ERROR!|"
    r"VALEUR!|NOM\?|NOMBRE!|NUL!|¡REF!|¡VALOR!|¿NOMBRE\?|¡NUM!|¡DIV/0!|¡NULO!|BEZUG!|WERT!|ZAHL!)|Err:[0-9]{3}"
)
# A username such as mar1, or a tag such as 1-2, that a spreadsheet took for a day.
TURNED_TO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")
AMOUNT_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009'’]")
# Digits in threes, as thousands are written; "0,125" is none.
EN_THOUSANDS, FR_THOUSANDS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})", r"[1-9][0-9]{0,2}(?:\.[0-9]{3})"
AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
DOT_DECIMAL = re.compile(rf"(?:[0-9]*|{EN_THOUSANDS}+)\.[0-9]+|{EN_THOUSANDS}{{2,}}")
COMMA_DECIMAL = re.compile(rf"(?:[0-9]*|{FR_THOUSANDS}+),[0-9]+|{FR_THOUSANDS}{{2,}}")

HANDLE = re.compile(r"[a-z0-9._-]{1,64}")
# An id that a spreadsheet took for a number: plain, with decimals of nothing, with thousands apart, with an exponent.
WHOLE = re.compile(r"0*([1-9][0-9]*)([.,]0+)?")
GROUPED = re.compile(r"[1-9][0-9]{0,2}([,'’ \u00a0\u202f])[0-9]{3}(?:\1[0-9]{3})*|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}")
EXPONENT = re.compile(r"([1-9])(?:[.,]([0-9]+)e\+?|e\+)0*([0-9]{1,3})", re.IGNORECASE)
# A double has 15 certain digits.
CERTAIN_DIGITS = 15
PLATFORM_ID_DIGITS = 20
EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan janvier janv enero ene januar",
            "february feb fevrier fevr fev febrero februar",
            "march mar mars marzo marz",
            "april apr avril avr abril abr",
            "may mai mayo",
            "june jun juin junio juni",
            "july jul juillet juil julio juli",
            "august aug aout agosto ago",
            "september sep sept septembre septiembre",
            "october oct octobre octubre oktober okt",
            "november nov novembre noviembre",
            "december dec decembre diciembre dic dezember dez",
        ),
        start=1,
    )
    for name in names.split()
}
ZONE = r"z|(?:utc|gmt)?[+−-][0-9]{1,2}(?::?[0-9]{2})?|[a-z]{1,12}/[a-z_]+(?:/[a-z_]+)?|[a-z]{2,5}"
TIME = (
    r"(?:[T, ]+(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?)?"
    rf"(?: ?(?P<half>[ap])\.?m\b\.?)?(?: ?(?P<zone>{ZONE}))?)?"
)
YEAR_FIRST = re.compile(rf"(?P<year>[0-9]{{4}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}}){TIME}", re.I)
NUMBERS = re.compile(rf"(?P<a>[0-9]{{1,2}})([/.-])(?P<b>[0-9]{{1,2}})\2(?P<year>[0-9]{{4}}){TIME}", re.I)
MONTH_FIRST = re.compile(
    rf"(?P<name>[a-z]{{3,10}})\.? (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}}){TIME}", re.I
)
DAY_FIRST = re.compile(
    rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|er|\.)?[ -](?P<name>[a-z]{{3,10}})\.?,?[ -](?P<year>[0-9]{{4}}){TIME}", re.I
)
ACCENTS = str.maketrans("éèêûôàáíäÉÈÊÛÔÀÁÍÄ", "eeeuoaaiaEEEUOAAIA")
# What people and programs write around a date, and what is meant.
WEEKDAYS = (
    "mon tue tues wed wednes thu thur thurs fri sat satur sun lundi mardi mercredi jeudi vendredi samedi dimanche "
    "lun mar mer jeu ven sam dim lunes martes miercoles jueves viernes sabado domingo mie jue vie sab dom "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag mo di mi do fr sa so"
)
SPOKEN = (
    # JavaScript's Date.prototype.toString names the zone once more.
    (re.compile(r" ?\([^()]*\)$"), ""),
    (re.compile(rf"^(?:(?:{'|'.join(WEEKDAYS.split())})(?:day)?)[.,]*[ ]", re.I), ""),
    (re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日"), r"\1-\2-\3"),
    (re.compile(r"(?<=[0-9a-z]) de[l]? (?=[a-z0-9])", re.I), " "),
    (re.compile(r"(?<=[0-9,]) (?:at|a|um|a las|kl\.?) (?=[0-9])", re.I), " "),
    (re.compile(r"([0-9]{1,2}) ?h ?([0-9]{2}) ?min ?([0-9]{2}) ?s?$", re.I), r"\1:\2:\3"),
    (re.compile(r"([0-9]{1,2}) ?h ?([0-9]{2})(?: ?min)?$", re.I), r"\1:\2"),
    (re.compile(r"(?<= )([0-9]{1,2}) ?h$", re.I), r"\1:00"),
    (re.compile(r"(?<=[0-9]) ?Uhr$", re.I), ""),
)
# Hours from UTC of the zones whose letters mean one thing in the files that platforms and banks write.
ZONE_HOURS = {
    "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "mez": 1, "mesz": 2, "eet": 2,
    "eest": 3, "msk": 3, "ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
    "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10, "jst": 9, "awst": 8, "aest": 10, "aedt": 11,
    "nzst": 12, "nzdt": 13,
}  # fmt: skip
ZONE_PLACES = {
    "et": "America/New_York", "ct": "America/Chicago", "mt": "America/Denver", "pt": "America/Los_Angeles",
}  # fmt: skip
OFFSET = re.compile(r"(?:utc|gmt)?([+−-])([0-9]{1,2}):?([0-9]{2})?", re.I)

# What an import keeps of a wrong row, in English, for crm.stored_words to say it in the reader's language.
WRONG_WIDTH = kept_sentence("The row has %(cells)s cells where the header has %(width)s.")
NAME_TOO_LONG = kept_sentence("A name has at most %(most)s characters.")
TOO_MANY_TAGS = kept_sentence("At most %(tags)s tags of at most %(characters)s characters each.")
NOTES_TOO_LONG = kept_sentence("Notes have at most %(most)s characters.")
AMOUNT_TOO_LARGE = kept_sentence("An amount is at most %(most)s.")
TOO_EARLY = kept_sentence("This date is before %(year)s.")
DAY_MONTH, MONTH_DAY = "D/M/YYYY", "M/D/YYYY"
ROUNDED_ID = gettext_noop(
    "A spreadsheet rounded this id, so it says no longer which one it is. Export the file again and import it "
    "unopened, or leave the column out."
)
NO_AMOUNT = gettext_noop("This is no amount of money.")
NO_DATE = gettext_noop("This is no date that can be read; write it as YYYY-MM-DD.")
FAILED_FORMULA = gettext_noop("A formula of the spreadsheet failed here: the cell has no value.")
MADE_A_DATE = gettext_noop("A spreadsheet took this for a date; write what stood there before.")
UNKNOWN_ZONE = kept_sentence("The time zone %(zone)s is not known; write the offset, such as +02:00.")


class WrongError(ValueError):
    """The cell is not what its column says; the text is the reason, for a person."""


def unescape(text: str) -> str:
    """Undo what our own exports do to text that a spreadsheet would run (defusedcsv): a mended file comes back."""
    if len(text) > 1 and text[0] == "'" and text[1] in "@+-=|%":
        return text[1:].replace("\\|", "|")
    return text


def plain(text: str, field: str) -> str:
    """The cell without what stands around its value: invisible characters, guards against spreadsheets, escapes.

    Raises WrongError for what a spreadsheet shows instead of a value.
    """
    text = EDGES.sub("", text)
    if field == "notes":
        text = unescape(text)
    else:
        if field not in ("name", "tags", "tier"):
            text = ANYWHERE.sub("", text)
        text = unescape(text)
        if found := GUARDED.fullmatch(text):
            text = (found[1] if found[2] is None else found[2]).replace('""', '"')
        if len(text) > 1 and text[0] == "'" and not CLIPPED.match(text):
            text = text[1:]
    if ERROR_CELL.fullmatch(text):
        raise WrongError(FAILED_FORMULA)
    return text


def whole_number(text: str) -> str | None:
    """The digits of a number that may have been through a spreadsheet, without zeros before them; None for no number.

    Raises WrongError where digits are missing: 1.23457E+16, or more than 15 digits of what has become a decimal number.
    """
    if found := WHOLE.fullmatch(text):
        if found[2] and len(found[1]) > CERTAIN_DIGITS:
            raise WrongError(ROUNDED_ID)
        return found[1]
    if GROUPED.fullmatch(text):
        digits = re.sub("[^0-9]", "", text)
        if len(digits) > CERTAIN_DIGITS:
            raise WrongError(ROUNDED_ID)
        return digits
    if found := EXPONENT.fullmatch(text):
        digits = found[1] + (found[2] or "")
        if len(digits) != int(found[3]) + 1 or len(digits) > CERTAIN_DIGITS:
            raise WrongError(ROUNDED_ID)
        return digits
    return None


def platform_id(text: str, *, long_rounded: bool = False) -> str | None:
    """`long_rounded`: the column's long numbers all end in zeros, as a spreadsheet leaves them."""
    if text.lower() in EMPTY_SIGNS:
        return None
    digits = whole_number(text)
    if digits is None or len(digits) > PLATFORM_ID_DIGITS:
        raise WrongError(gettext_noop("This is no fan id: an id has digits only."))
    if long_rounded and len(digits) > CERTAIN_DIGITS:
        raise WrongError(ROUNDED_ID)
    return digits


def transaction_id(text: str, *, long_rounded: bool = False) -> str | None:
    """The same id however the file was saved in between: 8123456789.0 and '8123456789 are 8123456789."""
    if text.lower() in EMPTY_SIGNS:
        return None
    if TURNED_TO_DATE.fullmatch(text):
        raise WrongError(MADE_A_DATE)
    digits = whole_number(text)
    if digits is not None and long_rounded and len(digits) > CERTAIN_DIGITS:
        raise WrongError(ROUNDED_ID)
    return digits or text


def handle(text: str) -> str | None:
    """The username in lower case, without `@` and without the address of the profile."""
    plain = text.lower()
    if plain in EMPTY_SIGNS:
        return None
    if TURNED_TO_DATE.fullmatch(plain):
        raise WrongError(MADE_A_DATE)
    # The address of a profile may go on behind the name: /media, ?utm_source=…
    plain = re.sub(r"^(?:https?://)?(?:www\.)?onlyfans\.com/@?([^/?#]+)(?:[/?#].*)?$", r"\1", plain).lstrip("@")
    if not HANDLE.fullmatch(plain):
        raise WrongError(
            gettext_noop("This is no username: letters, digits, dots, dashes and underscores, at most 64.")
        )
    return plain


def name(text: str) -> str | None:
    plain = " ".join(text.split())
    if plain.lower() in EMPTY_SIGNS:
        return None
    if TURNED_TO_DATE.fullmatch(plain):
        raise WrongError(MADE_A_DATE)
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
    """The parts between commas, semicolons or bars, or of an array as a database or a program writes it; each once."""
    if text.lower() in EMPTY_WORDS:
        return None
    parts = tuple(dict.fromkeys(" ".join(part.split()) for part in _tag_parts(text) if part.strip()))
    if any(TURNED_TO_DATE.fullmatch(part) for part in parts):
        raise WrongError(MADE_A_DATE)
    if any(ERROR_CELL.fullmatch(part) for part in parts):
        raise WrongError(FAILED_FORMULA)
    if len(parts) > TAGS_MAX or any(len(part) > TAG_MAX for part in parts):
        raise WrongError(TOO_MANY_TAGS % {"tags": TAGS_MAX, "characters": TAG_MAX})
    return parts or None


# An element of an array of PostgreSQL (`{vip,"big spender"}`), DuckDB (`[vip, big spender]`) or numpy (`['a' 'b']`).
ELEMENT = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,"'][^,]*))\s*(?:,|(?=["'])|$)""", re.DOTALL)


def _tag_parts(text: str) -> list[str]:
    begin, end = text[:1], text[-1:]
    if len(text) < 2 or (begin, end) not in {("{", "}"), ("[", "]"), ("(", ")")}:
        return re.split(r"[,;|\n]", text)
    if begin == "(" and "'" not in text and '"' not in text:
        return re.split(r"[,;|\n]", text)
    for read in (json.loads, ast.literal_eval) if begin != "{" else ():
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        # Python reads `['a' 'b']`, two elements of numpy, as one text.
        if isinstance(found, list | tuple | set) and not re.search(r"""["'] ["']""", text):
            return [str(part) for part in found if part is not None]
    inner, parts, at = text[1:-1], [], 0
    while at < len(inner):
        element = ELEMENT.match(inner, at)
        if element is None or element.end() == at:
            return re.split(r"[,;|\n]", inner)
        quoted = element[1] if element[1] is not None else element[2]
        value = element[3].strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if quoted is not None or value.upper() not in ("NULL", "NONE"):
            parts.append(value)
        at = element.end()
    return parts


def notes(text: str) -> str | None:
    if text.lower() in EMPTY_SIGNS:
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
    if not found or sum(bool(found[group]) for group in (1, 3, 6)) > 1:
        raise WrongError(NO_AMOUNT)
    if (found[2] or found[5]) and not currency_meant((found[2] or "") + (found[5] or "")):
        raise WrongError(gettext_noop("This is no currency that is known; write its three letters, such as EUR."))
    sign = (found[1] or found[3] or found[6] or "").replace("+", "")
    return ("-" if sign else "", found[4])


def number_exact(digits: str, mark: str) -> str:
    """Digits without the noise of a double: 0.30000000000000004 is 0.3 to the fifteen digits that are certain."""
    number = digits.replace(mark, ".", 1)
    if len(number.replace(".", "").lstrip("0")) > CERTAIN_DIGITS:
        number = f"{Decimal(number).normalize(Context(prec=CERTAIN_DIGITS)):f}"
    return number


def money_cents(text: str, *, decimal_mark: str, negative: bool = False, parts: int = 100) -> int | None:
    """Whole cents, exactly. `decimal_mark` settles what can be read in two ways alone: 1,234 and 1.234.

    `negative`: whether an amount may be below nothing. `parts`: in how many parts a dollar is counted: 10,000 for
    hundredths of a cent, which a fee in percent has; 1 where the amounts are in cents themselves.
    """
    if text.lower() in EMPTY_WORDS:
        return None
    if text.endswith("%"):
        raise WrongError(gettext_noop("This is a percentage and no amount of money."))
    sign, digits = amount(text)
    if AMBIGUOUS.fullmatch(digits):
        mark = decimal_mark
    elif digits.isdigit() or DOT_DECIMAL.fullmatch(digits):
        mark = "."
    elif COMMA_DECIMAL.fullmatch(digits):
        mark = ","
    else:
        raise WrongError(NO_AMOUNT)
    number = number_exact(digits.replace("," if mark == "." else ".", ""), mark)
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    places = len(str(parts)) - 1
    if len(fraction) > places:
        raise WrongError(
            gettext_noop("An amount has whole cents: at most two decimals.")
            if places
            else gettext_noop("An amount in cents has no decimals.")
        )
    whole = whole.lstrip("0")
    most = VALUE_MAX_CENTS * max(parts, 100) // 100
    if len(whole) > 14 or (found := int((whole or "0") + fraction.ljust(places, "0"))) > most:
        raise WrongError(AMOUNT_TOO_LARGE % {"most": f"{VALUE_MAX_CENTS // 100:,}"})
    if sign and found and not negative:
        raise WrongError(gettext_noop("An amount that a fan spent cannot be negative."))
    return -found if sign else found


def moment(text: str, *, order: str, latest: datetime, zone: tzinfo = UTC, exchanged: bool = False) -> datetime | None:
    """A date, or date and time in UTC; a time without an offset is taken as UTC, a day without a time as `zone`'s.

    `exchanged`: in a date with the year first, day and month stand in each other's place (csv_conventions).
    """
    plain = " ".join(text.split())
    if plain.lower() in EMPTY_WORDS:
        return None
    plain = plain.translate(ACCENTS)
    for pattern, meant in SPOKEN if not plain[-1:].isdigit() or not plain[:1].isdigit() or " " in plain else ():
        plain = pattern.sub(meant, plain)
    if found := YEAR_FIRST.fullmatch(plain):
        month, day = int(found["month"]), int(found["day"])
        if exchanged and day <= 12:
            day, month = month, day
    elif found := NUMBERS.fullmatch(plain):
        day, month = int(found["a"]), int(found["b"])
        if order == MONTH_DAY:
            day, month = month, day
    elif found := (MONTH_FIRST.fullmatch(plain) or DAY_FIRST.fullmatch(plain)):
        month, day = MONTHS.get(found["name"].lower(), 0), int(found["day"])
    else:
        raise WrongError(NO_DATE)
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0) if 1 <= hour <= 12 else 24
    elif found["hour"] and not found["minute"]:
        raise WrongError(NO_DATE)
    if (year := int(found["year"])) < YEAR_MIN:
        raise WrongError(TOO_EARLY % {"year": YEAR_MIN})
    if year > latest.year + 1:
        raise WrongError(gettext_noop("This date is in the future."))
    try:
        when = datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), tzinfo=UTC)
    except ValueError:
        raise WrongError(gettext_noop("There is no such date.")) from None
    when = _in_utc(when, found["zone"] or "") if found["hour"] else when.replace(tzinfo=zone).astimezone(UTC)
    if when > latest:
        raise WrongError(gettext_noop("This date is in the future."))
    return when


def _in_utc(when: datetime, zone: str) -> datetime:
    """The moment of a time that is written in a zone; one without is in UTC."""
    name = zone.lower()
    if not name:
        return when
    if name in ZONE_HOURS:
        return when - timedelta(hours=ZONE_HOURS[name])
    if found := OFFSET.fullmatch(name):
        away = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if away > timedelta(hours=14):
            raise WrongError(UNKNOWN_ZONE % {"zone": zone})
        return when - away if found[1] == "+" else when + away
    try:
        return when.replace(tzinfo=ZoneInfo(ZONE_PLACES.get(name, zone))).astimezone(UTC)
    except (KeyError, ValueError, OSError):
        raise WrongError(UNKNOWN_ZONE % {"zone": zone}) from None
