"""Answers how a file of fans is read: as asked, else as the last one with its columns. Touches imports to read them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crm.models import Creator
from crm.stored_words import kept_sentence
from onlyfans import csv_conventions, earnings_payloads, payloads, selectors
from onlyfans.models import ImportBatch, ImportKind

CHOSEN = kept_sentence("As in the import of %(file)s on %(day)s, columns are read as somebody chose: %(columns)s.")
MENDED = kept_sentence("These are rejected rows of import %(number)s (%(file)s on %(day)s); they are read as it was.")
LEFT_OUT = kept_sentence("As in the import of %(file)s on %(day)s, these are left out: %(fields)s.")
OVERWROTE = kept_sentence("As in the import of %(file)s on %(day)s, the file overwrites: %(fields)s.")
CHOSEN_BEFORE = kept_sentence(
    "In the import of %(file)s on %(day)s, of the same columns, somebody chose how to read: %(columns)s; "
    "ask for it with `remembered`."
)
LEFT_OUT_BEFORE = kept_sentence(
    "In the import of %(file)s on %(day)s, of the same columns, these were left out: %(fields)s; "
    "ask for it with `remembered`."
)
OVERWROTE_BEFORE = kept_sentence(
    "In the import of %(file)s on %(day)s, of the same columns, the file overwrote: %(fields)s; "
    "ask for it with `remembered`."
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is to be done with a file, and what a person should know of how that came about.

    `day_first_before` counts only where the file's own dates say nothing; `day_first` always.
    """

    mapping: Mapping[str, str | None] | None
    overwrite: Collection[str]
    day_first: bool | None
    day_first_before: bool | None = None
    decimal_mark: str | None = None
    notices: tuple[str, ...] = ()


def choices_settle(
    *,
    creator: Creator,
    header: Sequence[str],
    mapping: Mapping[str, str | None] | None,
    overwrite: Collection[str] | None,
    day_first: bool | None,
    decimal_mark: str | None,
    remembered: bool,
) -> Choices:
    """What is given, and for None, where `remembered` is asked for, what the last import of such columns did.

    Where it is not asked for, a notice says what it would have been. Rejected rows that were mended are read as those
    that were taken then.
    """
    if mended := mended_settle(
        creator=creator,
        header=header,
        kind=ImportKind.FANS,
        given=Choices(mapping, overwrite or (), day_first, decimal_mark=decimal_mark),
    ):
        return replace(mended, overwrite=mended.overwrite if overwrite is None else overwrite)
    last = selectors.import_remembered(creator=creator, header=header, kind=ImportKind.FANS)
    given = Choices(mapping, overwrite or (), day_first, decimal_mark=decimal_mark)
    if last is None:
        return given
    notices = (
        *(_mapping_told(last, remembered=remembered) if mapping is None else ()),
        *(_overwrite_told(last, remembered=remembered) if overwrite is None else ()),
    )
    if not remembered:
        return replace(given, notices=notices)
    return Choices(
        mapping=mapping_whole(last) if mapping is None else mapping,
        overwrite=last.overwrite if overwrite is None else overwrite,
        day_first=day_first,
        day_first_before=last.day_first,
        decimal_mark=decimal_mark,
        notices=notices,
    )


def mended_settle(*, creator: Creator, header: Sequence[str], kind: ImportKind, given: Choices) -> Choices | None:
    """What is given, else how the import read its file whose rejected rows this one has; None for another file."""
    then = selectors.import_mended(creator=creator, header=header)
    if then is None or then.kind != kind:
        return None
    order = then.reading.get("dateOrder")
    return Choices(
        mapping=mapping_mended(then, header) if given.mapping is None else given.mapping,
        overwrite=then.overwrite,
        day_first=given.day_first if given.day_first is not None or not order else order == csv_conventions.DAY_MONTH,
        decimal_mark=given.decimal_mark or then.reading.get("decimalMark"),
        notices=(
            MENDED % {"number": then.pk, "file": repr(then.filename[:100]), "day": f"{then.created_at:%Y-%m-%d}"},
        ),
    )


def mapping_mended(batch: ImportBatch, header: Sequence[str]) -> dict[str, str | None]:
    """Every field with its column as in the import, as far as the file of its rejected rows still has it."""
    return {name: column if column in header else None for name, column in mapping_whole(batch).items()}


def mapping_whole(batch: ImportBatch) -> dict[str, str | None]:
    """Every field with its column, None for one that was left out."""
    fields = earnings_payloads.FIELDS if batch.kind == ImportKind.EARNINGS else payloads.FIELDS
    return {name: batch.mapping.get(name) for name in fields}


def _mapping_told(batch: ImportBatch, *, remembered: bool) -> Iterator[str]:
    """The columns that were not read by their names."""
    by_name = payloads.columns_find(batch.header).mapping()
    changed = [name for name in payloads.FIELDS if batch.mapping.get(name) != by_name.get(name)]
    if columns := [repr(batch.mapping[name][:100]) for name in changed if name in batch.mapping]:
        yield _told(CHOSEN if remembered else CHOSEN_BEFORE, batch, columns=", ".join(columns))
    if left_out := [payloads.LABELS[name] for name in changed if name not in batch.mapping]:
        yield _told(LEFT_OUT if remembered else LEFT_OUT_BEFORE, batch, fields=", ".join(left_out))


def _overwrite_told(batch: ImportBatch, *, remembered: bool) -> Iterator[str]:
    if batch.overwrite:
        labels = (payloads.LABELS[name] for name in batch.overwrite)
        yield _told(OVERWROTE if remembered else OVERWROTE_BEFORE, batch, fields=", ".join(labels))


def _told(sentence: str, batch: ImportBatch, **values: str) -> str:
    """In English, as a row keeps it."""
    return sentence % {"file": repr(batch.filename[:100]), "day": f"{batch.created_at:%Y-%m-%d}", **values}
