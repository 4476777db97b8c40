"""Which encoding the bytes of a text file are in, and how certain that is. Touches its bytes alone.

UTF-8 and what has a byte order mark are certain. Of the others chardet says what they most likely are: in a trial of 37
short lists of names in 17 encodings it was right 33 times, charset-normalizer 17 times.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

from crm.errors import FieldError, InvalidInput, Unreadable
from crm.stored_words import kept_sentence, said

if TYPE_CHECKING:
    from collections.abc import Iterator

SNIFF_CHARACTERS = 64_000
# What is in memory at once: some 50,000 rows of ordinary length, which take ten times that on their way.
BLOCK_BYTES = 4_000_000
BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a person can choose. Those that tools write are guessed, too.
GUESSED = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp1258",
    "cp874",
    "cp932",
    "gb18030",
    "big5hkscs",
    "cp949",
    "euc-jp",
    "koi8-r",
    "mac-roman",
)
ENCODINGS = ("utf-8", *GUESSED, "iso8859-2", "iso8859-15", "cp437", "cp850", "cp852", "cp866", "utf-16-le", "utf-16-be")

# Bytes of the lines that say which encoding it is: those with a byte beyond ASCII.
_SAMPLE_BYTES = 64_000
# A guess that is so much likelier than the next one is taken for certain.
_CERTAIN = 3.0
# Of two that are nearly as likely, the one that is written far more often is meant, if its letters are usual ones.
_HARDLY = 2.0
_USUAL = frozenset("éèêëàâäáãåçñíîïìóôöõòúùûüÿœæøßÉÈÊËÀÂÄÁÃÅÇÑÍÎÏÌÓÔÖÕÒÚÙÛÜŒÆØ‘’“”–—…€£«»°¿¡ªº\u00a0")
_FOREIGN_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# A Latin letter beside one of another script, as far as both are letters of an alphabet.
_OTHER = "\\u0370-\\u03ff\\u0400-\\u052f\\u0590-\\u05ff\\u0600-\\u06ff\\u0e00-\\u0e7f"
_TWO_SCRIPTS = re.compile(rf"[A-Za-z][{_OTHER}]|[{_OTHER}][A-Za-z]")
NO_TEXT = gettext_noop("This is no text file. Export the list as CSV and upload that.")
# Vertical tab (Excel's line break within a cell) and SUB (the end of a DOS file) do not make a file binary.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
GUESS = kept_sentence(
    "The file does not say which encoding it is in; it was read as %(encoding)s. If names look wrong, choose another."
)
MIXED = kept_sentence(
    "Bytes of the file that are no UTF-8: %(number)s. They were read as cp1252; look at the names with accents."
)
ENCODING_UNKNOWN = kept_sentence("There is no encoding %(name)s; there are %(names)s.")
ENCODING_WRONG = kept_sentence("The file is not in %(name)s: it has bytes that mean nothing there.")


@dataclass(frozen=True, slots=True)
class Text:
    """How the bytes of a file become characters, and its first ones; `encodings` are those to choose from."""

    encoding: str
    head: str
    errors: str = "strict"
    certain: bool = True
    encodings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def decoder(self) -> codecs.IncrementalDecoder:
        return codecs.getincrementaldecoder(self.encoding)(self.errors)


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """What a foreign byte in UTF-8 means to the tools that most often leave one behind."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # Byte by byte: a character of UTF-8 may begin right behind it.
    return error.object[error.start : error.start + 1].decode("cp1252", "replace"), error.start + 1


codecs.register_error("huntaze.cp1252", _as_cp1252)


def decode(file: IO[bytes], *, start: bytes, encoding: str | None = None) -> Text:
    """Read the whole file once for the encoding in which every byte of it makes sense; `encoding` settles it.

    `start` are its first bytes. Raises Unreadable for what is no text, InvalidInput for an encoding that is not known
    or does not fit.
    """
    if encoding is not None:
        return _asked(file, encoding)
    for bom, name in BOMS:
        if start.startswith(bom) and name != "utf-8-sig":
            return _all_of(file, name)
    # Commas, digits and line ends of UTF-16 have their NUL on one side; no other text has any.
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) > max(3 * min(even, odd), len(start) // 100):
        return _all_of(file, "utf-16-le" if odd > even else "utf-16-be")
    if even + odd:
        raise Unreadable(gettext(NO_TEXT), code="not_csv")
    try:
        return Text("utf-8-sig", _head(file, "utf-8-sig"), encodings=ENCODINGS)
    except UnicodeDecodeError:
        return _guess(file)


def _asked(file: IO[bytes], encoding: str) -> Text:
    known = next(
        (
            name if name != "utf-8" else "utf-8-sig"
            for name in ENCODINGS
            if codecs.lookup(name).name == _codec(encoding)
        ),
        None,
    )
    if known is None:
        sentence = said(ENCODING_UNKNOWN, name=repr(encoding[:50]), names=", ".join(ENCODINGS))
        raise InvalidInput(sentence, errors=(FieldError("encoding", "unknown_encoding", sentence),))
    try:
        return Text(known, _head(file, known), encodings=ENCODINGS)
    except UnicodeDecodeError as error:
        sentence = said(ENCODING_WRONG, name=known)
        raise InvalidInput(sentence, errors=(FieldError("encoding", "wrong_encoding", sentence),)) from error


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""


def _all_of(file: IO[bytes], encoding: str) -> Text:
    try:
        return Text(encoding, _head(file, encoding), encodings=ENCODINGS)
    except UnicodeDecodeError as error:
        raise Unreadable(
            gettext("The file is written in an unknown encoding. Save it as CSV in UTF-8."), code="unknown_encoding"
        ) from error


def _guess(file: IO[bytes]) -> Text:
    """By the lines that have a byte beyond ASCII."""
    sample = _foreign_lines(file)
    characters = len(_UTF8_CHARACTER.findall(sample))
    foreign = sum(byte > 0x7F for byte in _UTF8_CHARACTER.sub(b"", sample))
    if characters >= foreign:
        text = Text("utf-8-sig", _head(file, "utf-8-sig", "huntaze.cp1252"), errors="huntaze.cp1252")
        return Text(
            text.encoding,
            text.head,
            text.errors,
            certain=False,
            encodings=ENCODINGS,
            notices=(MIXED % {"number": foreign},),
        )
    ranked = _ranked(sample)
    names = [name for name, _ in ranked]
    for name in names:
        try:
            head = _head(file, name)
        except UnicodeDecodeError:
            continue
        certain = name == names[0] and _is_certain(ranked, sample)
        notices = () if certain else (GUESS % {"encoding": name},)
        return Text(name, head, certain=certain, encodings=ENCODINGS, notices=notices)
    return _all_of(file, "cp1252")


def _ranked(sample: bytes) -> list[tuple[str, float]]:
    """The encodings in which the sample makes sense with their likelihood, the best first."""
    import chardet

    found = chardet.detect_all(sample, ignore_threshold=True, compat_names=False, include_encodings=GUESSED)
    ranked: list[tuple[str, float]] = []
    for each in found:
        name = next((name for name in GUESSED if codecs.lookup(name).name == _codec(each["encoding"] or "")), None)
        if name is not None:
            ranked.append((name, each["confidence"]))
    # A word with letters of two scripts is none: "Chloé" in a Greek encoding. (The sort keeps the order of the others.)
    ranked.sort(key=lambda each: _TWO_SCRIPTS.search(_decoded(sample, each[0]) or "") is not None)
    if ranked and _is_western(sample, ranked):
        ranked = [("cp1252", ranked[0][1]), *(each for each in ranked if each[0] != "cp1252")]
    return ranked


def _is_western(sample: bytes, ranked: list[tuple[str, float]]) -> bool:
    """Whether to take cp1252, by far the most frequent: the likeliest says the same, or hardly anything else."""
    western, (best, likelihood) = _decoded(sample, "cp1252"), ranked[0]
    if western is None or western == _decoded(sample, best):
        return western is not None
    return likelihood < _HARDLY * dict(ranked).get("cp1252", 0) and all(c in _USUAL for c in western if c > "\x7f")


def _is_certain(ranked: list[tuple[str, float]], sample: bytes) -> bool:
    """Whether whatever is nearly as likely says the same."""
    (best, likelihood), *others = ranked
    text = _decoded(sample, best)
    return all(
        likelihood > _CERTAIN * other or _decoded(sample, name) in (text, None) for name, other in others if other
    )


def _decoded(sample: bytes, encoding: str) -> str | None:
    try:
        return sample.decode(encoding)
    except UnicodeDecodeError:
        return None


def _foreign_lines(file: IO[bytes]) -> bytes:
    file.seek(0)
    lines: list[bytes] = []
    size = 0
    while size < _SAMPLE_BYTES and (block := file.read(BLOCK_BYTES)):
        for found in _FOREIGN_LINE.finditer(block):
            lines.append(found[0])
            size += len(found[0]) + 1
            if size >= _SAMPLE_BYTES:
                break
    return b"\n".join(lines)


def _head(file: IO[bytes], encoding: str, errors: str = "strict") -> str:
    """The file's first characters, once all of it was decoded and nothing in it is binary."""
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    file.seek(0)
    head = ""
    while block := file.read(BLOCK_BYTES):
        text = decoder.decode(block)
        if "\x00" in text:
            raise Unreadable(gettext(NO_TEXT), code="not_csv")
        if len(head) < SNIFF_CHARACTERS:
            head += text[:SNIFF_CHARACTERS]
    decoder.decode(b"", final=True)
    controls = len(CONTROL.findall(head))
    if controls * 100 > len(head) and (controls > 3 or controls * 2 > len(head)):
        raise Unreadable(gettext(NO_TEXT), code="not_csv")
    return head.replace("\r\n", "\n").replace("\r", "\n")


def blocks(file: IO[bytes], text: Text) -> Iterator[str]:
    """The text in pieces of whole lines that end with `\\n`, whatever they end with in the file."""
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(text.decoder(), translate=True)
    rest = ""
    while block := file.read(BLOCK_BYTES):
        whole, newline, rest = (rest + decoder.decode(block)).rpartition("\n")
        if newline:
            yield whole + newline
    if rest := (rest + decoder.decode(b"", final=True)).rstrip("\x1a"):
        yield rest
