"""Answers how django-import-export reads and writes fans: the import is fans_import, the export is formula-safe CSV."""

from itertools import islice
from typing import Any

from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.resources import ModelResource
from import_export.results import Error, Result, RowResult
from import_export.tmp_storages import CacheStorage

from crm.csv_lines import csv_file
from crm.errors import HuntazeError
from crm.fan_upsert import FanOutcome
from crm.models import Creator, Fan, User
from onlyfans import csv_headers, selectors
from onlyfans.csv_import import PREVIEW_MAX, FanImport, ImportedRow, fans_import
from onlyfans.csv_layout import Layout
from onlyfans.models import ImportBatch

IMPORT_TYPES = {
    FanOutcome.INSERTED: RowResult.IMPORT_TYPE_NEW,
    FanOutcome.UPDATED: RowResult.IMPORT_TYPE_UPDATE,
    FanOutcome.UNCHANGED: RowResult.IMPORT_TYPE_SKIP,
    FanOutcome.OVERTAKEN: RowResult.IMPORT_TYPE_SKIP,
    FanOutcome.DELETED: RowResult.IMPORT_TYPE_SKIP,
}
NOTES = {
    FanOutcome.UNCHANGED: "Nothing changes.",
    FanOutcome.OVERTAKEN: "A later row is about the same fan.",
    FanOutcome.DELETED: "This fan was deleted; restore the fan first.",
}


class UploadStorage(CacheStorage):  # type: ignore[misc]  # import_export ships no types
    """Where an upload waits to be confirmed: every instance reaches it, and what is not confirmed goes by itself."""

    CACHE_LIFETIME = 3_600


class FanFile:
    """The file as it came. It stands where import-export has a table, which fans_import reads better."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content or b""


class FanCsv(CSV):  # type: ignore[misc]
    """CSV whose reading is left to fans_import and whose writing cannot carry formulas."""

    def get_title(self) -> str:
        return "CSV"

    def is_binary(self) -> bool:
        return True

    def get_read_mode(self) -> str:
        return "rb"

    def create_dataset(self, in_stream: bytes | None, **kwargs: Any) -> FanFile:
        return FanFile(in_stream)

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        # import-export's own way drops a leading "=" and leaves "+", "-" and "@" as they are.
        return "".join(csv_file(dataset.headers, dataset))


class UploadError(Error):  # type: ignore[misc]
    """What is wrong with the whole file, for a person: without a traceback."""

    traceback = ""


class FanResult(Result):  # type: ignore[misc]
    batch: ImportBatch | None = None


class FanResource(ModelResource):  # type: ignore[misc]
    """Columns are named as the import knows them, so that an export can be imported again."""

    creator_name = Field("creator__name", "Creator", readonly=True)
    platform_id = Field("platform_id", "Fan ID")
    handle = Field("handle", "Username")
    name = Field("name", "Display Name")
    email = Field("email", "Email")
    tags = Field("tags", "Tags")
    notes = Field("notes", "Notes")
    value_cents = Field("value_cents", "Total Spent")
    last_seen_at = Field("last_seen_at", "Last Seen")

    class Meta:
        model = Fan
        fields = (
            "creator_name",
            "platform_id",
            "handle",
            "name",
            "email",
            "tags",
            "notes",
            "value_cents",
            "last_seen_at",
        )
        export_order = fields

    def dehydrate_platform_id(self, fan: Fan) -> str:
        """Empty while the handle stands in for it: it is no id."""
        return fan.platform_id if fan.platform_id.isdigit() else ""

    def dehydrate_handle(self, fan: Fan) -> str:
        return fan.handle or ("" if fan.platform_id.isdigit() else fan.platform_id)

    def dehydrate_tags(self, fan: Fan) -> str:
        return ", ".join(fan.tags)

    def dehydrate_value_cents(self, fan: Fan) -> str:
        whole, cents = divmod(fan.value_cents, 100)
        return f"{whole}.{cents:02}"

    def dehydrate_last_seen_at(self, fan: Fan) -> str:
        return fan.last_seen_at.isoformat(timespec="seconds") if fan.last_seen_at else ""

    def import_data(
        self,
        dataset: FanFile,
        dry_run: bool = False,
        *,
        creator: Creator,
        user: User,
        max_bytes: int,
        day_first: bool | None = None,
        decimal_mark: str | None = None,
        layout: Layout | None = None,
        file_name: str | None = None,
        **kwargs: Any,
    ) -> FanResult:
        """The import or, with `dry_run`, its preview; both are fans_import's."""
        result = FanResult()
        result.diff_headers = ["Row", "Fan", "Name", "Value", "Last seen", "Remark"]
        try:
            found = fans_import(
                creator=creator,
                user=user,
                filename=file_name or "",
                content=dataset.content,
                day_first=day_first,
                decimal_mark=decimal_mark,
                layout=layout,
                remembered=True,
                dry_run=dry_run,
                max_bytes=max_bytes,
            )
        except HuntazeError as error:
            result.append_base_error(UploadError(error))
            return result
        result.batch = found.batch
        _fill(result, found)
        return result


def _fill(result: FanResult, found: FanImport) -> None:
    batch = found.batch
    result.total_rows = batch.total_rows
    result.totals[RowResult.IMPORT_TYPE_NEW] = batch.inserted
    result.totals[RowResult.IMPORT_TYPE_UPDATE] = batch.updated
    result.totals[RowResult.IMPORT_TYPE_SKIP] = batch.unchanged + batch.skipped + batch.rejected_rows
    columns = ", ".join(f"{field} from {header!r}" for field, header in batch.mapping.items())
    sums = "; ".join(
        f"{each['month'] or 'all'} {each['currency']} {each.get('valueCents', each.get('grossCents')) / 100:,.2f}"
        for each in batch.contents.get("sums", [])
    )
    for remark in (
        f"Columns: {columns}.",
        *([f"Sums: {sums}."] if sums else []),
        *(notice["text"] for notice in batch.notices),
    ):
        result.append_row_result(_row(RowResult.IMPORT_TYPE_SKIP, ["", "", "", "", "", remark]))
    for rejected in islice(selectors.import_rejected(batch), PREVIEW_MAX):
        reasons = "; ".join(
            f"{problem['column']} '{csv_headers.shown(problem['value'])}': {problem['error']}"
            if problem["column"]
            else problem["error"]
            for problem in rejected.problems
        )
        result.append_row_result(
            _row(RowResult.IMPORT_TYPE_SKIP, [_place(batch, rejected.line), "", "", "", "", f"Rejected. {reasons}"])
        )
    for imported in found.rows[: PREVIEW_MAX - len(result.rows)]:
        result.append_row_result(_row(IMPORT_TYPES[imported.outcome], _diff(batch, imported)))


def _place(batch: ImportBatch, line: int) -> str:
    row, sheet = selectors.import_place(batch, line)
    return f"{row} ({sheet})" if sheet else str(row)


def _row(import_type: str, diff: list[str]) -> RowResult:
    row = RowResult()
    row.import_type = import_type
    row.diff = diff
    return row


def _diff(batch: ImportBatch, imported: ImportedRow) -> list[str]:
    row = imported.row
    return [
        _place(batch, imported.line),
        row.platform_id if row.platform_id == row.handle else f"{row.platform_id} {row.handle}".strip(),
        row.name or "",
        "" if row.value_cents is None else f"{row.value_cents // 100:,}.{row.value_cents % 100:02}",
        f"{row.last_seen_at:%Y-%m-%d %H:%M}" if row.last_seen_at else "",
        NOTES.get(imported.outcome, ""),
    ]
