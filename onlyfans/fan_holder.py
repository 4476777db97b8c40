"""Answers what imports keep of one fan, for the CRM's port FanHolder: rows that were rejected. Touches imports."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from crm.fan_holders import Section
from crm.models import Fan
from onlyfans import import_services, selectors
from onlyfans.models import ImportRow

CHUNK = 1_000


class ImportsHolder:
    """An import keeps the cells of its rejected rows alone, so those that name the fan are what there is."""

    def withdraw(self, fan: Fan) -> None:
        """Imports send nothing."""

    def erase(self, fan: Fan) -> None:
        for row in _rows(fan):
            import_services.import_row_emptied(row=row)

    def export(self, fan: Fan) -> Mapping[str, Section]:
        return {"rejectedImportRows": map(_told, _rows(fan))}


def _rows(fan: Fan) -> Iterator[ImportRow]:
    names = _names(fan)
    for row in selectors.import_rows_naming(creator=fan.creator, texts=names).iterator(chunk_size=CHUNK):
        if _is_about(row, names):
            yield row


def _names(fan: Fan) -> frozenset[str]:
    """By what a file may name the fan, in lower case."""
    return frozenset(name.lower() for name in (fan.platform_id, fan.handle, fan.email) if name)


def _is_about(row: ImportRow, names: Collection[str]) -> bool:
    """By the columns that say who somebody is; by all of them where the row has more or fewer cells than the header."""
    batch, cells = row.batch, row.cells
    if len(cells) == len(batch.header):
        said = {batch.mapping.get(name) for name in ("platform_id", "handle", "email")}
        cells = [cell for column, cell in zip(batch.header, cells, strict=True) if column in said]
    return any(str(cell).strip().removeprefix("@").lower() in names for cell in cells)


def _told(row: ImportRow) -> Mapping[str, Any]:
    return {
        "importId": row.batch_id,
        "filename": row.batch.filename,
        "createdAt": row.batch.created_at,
        "row": selectors.import_place(row.batch, row.line)[0],
        "problems": row.problems,
        "cells": row.cells,
    }
