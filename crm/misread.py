"""Whether a text is another one whose bytes were read in the wrong encoding. Touches nothing."""

# In which lists of names are written, and as which they are wrongly read.
ENCODINGS = (
    "utf-8",
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1257",
    "mac-roman",
    "koi8-r",
    "cp850",
    "cp932",
    "gb18030",
    "big5hkscs",
    "cp949",
    "euc-jp",
)
# What stands for a byte that could not be read.
REPLACED = "\ufffd"


def is_misread(stored: str, right: str) -> bool:
    """Whether `stored` came of the bytes of `right` in some encoding, read in another: "ZoÃ«" of "Zoë"."""
    if stored == right or (stored.isascii() and REPLACED not in stored and "?" not in stored) or right.isascii():
        return False
    for written in ENCODINGS:
        try:
            content = right.encode(written)
        except UnicodeEncodeError:
            continue
        if any(content.decode(read, "replace") == stored for read in ENCODINGS if read != written):
            return True
        if content.decode("ascii", "replace") == stored or right.encode("ascii", "replace").decode() == stored:
            return True
    return False
