"""Answers what imports keep of one fan, for the CRM's port FanHolder: rows that were rejected. Touches imports."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from crm.fan_holders import Section
from crm.models import Fan
from onlyfans import selectors, services
from onlyfans.models import ImportBatch


class ImportsHolder:
    """An import keeps the cells of its rejected rows alone, so those that name the fan are what there is."""

    def withdraw(self, fan: Fan) -> None:
        """Imports send nothing."""

    def erase(self, fan: Fan) -> None:
        names = _names(fan)
        for batch in selectors.import_list_naming(creator=fan.creator, texts=names):
            rejected = [_emptied(entry) if _is_about(batch, entry, names) else entry for entry in batch.rejected]
            services.import_rejected_set(batch=batch, rejected=rejected)

    def export(self, fan: Fan) -> Mapping[str, Section]:
        return {"rejectedImportRows": self._rows(fan)}

    def _rows(self, fan: Fan) -> Iterator[Mapping[str, Any]]:
        names = _names(fan)
        for batch in selectors.import_list_naming(creator=fan.creator, texts=names):
            for entry in batch.rejected:
                if _is_about(batch, entry, names):
                    yield _told(batch, entry)


def _names(fan: Fan) -> frozenset[str]:
    """By what a file may name the fan, in lower case."""
    return frozenset(name.lower() for name in (fan.platform_id, fan.handle, fan.email) if name)


def _is_about(batch: ImportBatch, entry: Mapping[str, Any], names: Collection[str]) -> bool:
    """By the columns that say who somebody is; by all of them where the row has more or fewer cells than the header."""
    cells = entry["raw"]
    if len(cells) == len(batch.header):
        said = {batch.mapping.get(name) for name in ("platform_id", "handle", "email")}
        cells = [cell for column, cell in zip(batch.header, cells, strict=True) if column in said]
    return any(str(cell).strip().removeprefix("@").lower() in names for cell in cells)


def _emptied(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The row still counts as rejected, and for what; its cells are gone."""
    problems = [{**problem, "value": ""} for problem in entry["problems"]]
    return {**entry, "problems": problems, "raw": ["" for _ in entry["raw"]]}


def _told(batch: ImportBatch, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "importId": batch.pk,
        "filename": batch.filename,
        "createdAt": batch.created_at,
        "row": entry["row"],
        "problems": entry["problems"],
        "cells": entry["raw"],
    }
