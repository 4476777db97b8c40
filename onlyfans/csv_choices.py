"""Answers how a file of fans is read: as asked, else as the last one with its columns. Touches imports to read them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from crm.models import Creator
from onlyfans import payloads, selectors
from onlyfans.models import ImportBatch


@dataclass(frozen=True, slots=True)
class Choices:
    """What is to be done with a file, and what a person should know of how that came about.

    `day_first_before` counts only where the file's own dates say nothing; `day_first` always.
    """

    mapping: Mapping[str, str | None] | None
    overwrite: Collection[str]
    day_first: bool | None
    day_first_before: bool | None = None
    notices: tuple[str, ...] = ()


def choices_settle(
    *,
    creator: Creator,
    header: Sequence[str],
    mapping: Mapping[str, str | None] | None,
    overwrite: Collection[str] | None,
    day_first: bool | None,
    remembered: bool,
) -> Choices:
    """What is given, and for None, where `remembered` is asked for, what the last import of such columns did.

    Where it is not asked for, a notice says what it would have been.
    """
    last = selectors.import_remembered(creator=creator, header=header)
    given = Choices(mapping, overwrite or (), day_first)
    if last is None:
        return given
    differs = [
        text
        for text, is_open in ((_mapping_told(last), mapping is None), (_overwrite_told(last), overwrite is None))
        if text and is_open
    ]
    when = f"the import of {last.filename[:100]!r} on {last.created_at:%d %B %Y}"
    if not remembered:
        told = f"In {when}, of the same columns, {' and '.join(differs)}; ask for it with `remembered`."
        return Choices(given.mapping, given.overwrite, day_first, notices=(told,) if differs else ())
    return Choices(
        mapping=mapping_whole(last) if mapping is None else mapping,
        overwrite=last.overwrite if overwrite is None else overwrite,
        day_first=day_first,
        day_first_before=last.day_first,
        notices=(f"As in {when}, {' and '.join(differs)}.",) if differs else (),
    )


def mapping_whole(batch: ImportBatch) -> dict[str, str | None]:
    """Every field with its column, None for one that was left out."""
    return {name: batch.mapping.get(name) for name in payloads.FIELDS}


def _mapping_told(batch: ImportBatch) -> str:
    """The columns that were not read by their names."""
    by_name = payloads.columns_find(batch.header).mapping()
    changed = [
        f"{name} was read from {batch.mapping[name][:100]!r}" if name in batch.mapping else f"{name} was left out"
        for name in payloads.FIELDS
        if batch.mapping.get(name) != by_name.get(name)
    ]
    return ", ".join(changed)


def _overwrite_told(batch: ImportBatch) -> str:
    return f"the file overwrote {', '.join(batch.overwrite)}" if batch.overwrite else ""
