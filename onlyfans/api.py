"""Answers imports over HTTP: upload, history, rejected rows, undo. Touches import_soon, import_services, selectors."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, CsvRenderer, FragmentRenderer
from crm.fan_undo import FanUndo
from crm.idempotent_api import ONCE_PARAMETERS, OnceAPIView, once
from crm.json_types import JsonTypes, QueryParameters
from crm.models import Role
from crm.pagination import KeysetPagination
from crm.rendering import JSONRenderer
from crm.selectors import MANAGERS
from crm.stored_words import in_words
from crm.transaction_undo import TransactionUndo
from onlyfans import import_services, selectors
from onlyfans.csv_encodings import ENCODINGS
from onlyfans.csv_import import rejected_csv, size_check
from onlyfans.csv_layout import Layout
from onlyfans.import_jobs import import_soon
from onlyfans.models import ImportBatch, ImportJob, ImportKind, ImportStatus

# No spreadsheet has more rows; the header is near the top in any case.
HEADER_ROW_MAX = 1_000_000
# How many problems and notices one answer holds; errors.csv has them all.
SHOWN_MAX = 1_000
# The form around the file: its boundaries, names and the mapping.
FORM_MAX_BYTES = 100_000
API_FIELDS = {
    "platformId": "platform_id",
    "handle": "handle",
    "name": "name",
    "email": "email",
    "tags": "tags",
    "tier": "tier",
    "notes": "notes",
    "valueCents": "value_cents",
    "lastSeenAt": "last_seen_at",
    "creator": "creator",
}
# Those of a file of transactions.
API_EARNING_FIELDS = {
    "transactionId": "transaction_id",
    "occurredAt": "occurred_at",
    "timeOfDay": "time_of_day",
    "timeZone": "time_zone",
    "kind": "kind",
    "status": "status",
    "grossCents": "gross_cents",
    "feeCents": "fee_cents",
    "netCents": "net_cents",
    "vatCents": "vat_cents",
    "currency": "currency",
    "description": "description",
    "fanId": "fan_id",
    "handle": "handle",
    "fanName": "fan_name",
    "creator": "creator",
}
API_NAMES = {field: name for name, field in (API_FIELDS | API_EARNING_FIELDS).items()}
MAPPING_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "string", "nullable": True},
    "example": {"handle": "Username", "valueCents": "Total Spent"},
}


@extend_schema_field(MAPPING_SCHEMA)
class MappingField(serializers.JSONField):
    """`{field: column header}`; null leaves a field out. Whether a field is of this kind of file the import says."""

    def to_internal_value(self, data: Any) -> dict[str, str | None]:
        try:
            value = super().to_internal_value(data)
        except RecursionError:  # nested thousands deep
            self.fail("invalid")
        if not isinstance(value, dict) or not all(v is None or isinstance(v, str) for v in value.values()):
            raise serializers.ValidationError(
                gettext("Give an object of field names and column headers."), code="invalid"
            )
        fields = API_FIELDS | API_EARNING_FIELDS
        unknown = sorted(set(value) - set(fields))
        if unknown:
            raise serializers.ValidationError(
                gettext("There is no field %(name)s; there are %(fields)s, and of transactions %(more)s.")
                % {
                    "name": repr(unknown[0][:50]),
                    "fields": ", ".join(API_FIELDS),
                    "more": ", ".join(API_EARNING_FIELDS),
                },
                code="unknown_field",
            )
        return {fields[name]: column for name, column in value.items()}

    def to_representation(self, value: Any) -> Any:
        return {API_NAMES.get(field, field): column for field, column in value.items()}


class LayoutRequest(JsonTypes):
    """What of a file's layout it leaves open, or says wrongly; each is left to the file where it is not given."""

    sheet = serializers.CharField(
        required=False,
        max_length=100,
        help_text="The sheet of a workbook, or `*` for all with the same columns, which is how several are read where "
        "none is named.",
    )
    headerRow = serializers.IntegerField(
        source="header_row",
        required=False,
        min_value=0,
        max_value=HEADER_ROW_MAX,
        help_text="The row of the header; 0 for a file without one, whose columns are called Column 1, Column 2, ….",
    )
    encoding = serializers.CharField(
        required=False, max_length=30, help_text=f"Of a text file: {', '.join(ENCODINGS)}."
    )
    delimiter = serializers.CharField(
        required=False, max_length=1, trim_whitespace=False, help_text="The character between the cells of a text file."
    )


def layout_asked(asked: Mapping[str, Any]) -> Layout:
    """What a LayoutRequest says, once it is read."""
    names = ("sheet", "header_row", "encoding", "delimiter")
    return Layout(**{name: asked[name] for name in names if name in asked})


class ImportRequestSerializer(LayoutRequest):
    # An empty file is told from no file, in the words of the import itself.
    file = serializers.FileField(
        allow_empty_file=True,
        help_text="CSV or any text with one row a line, .xlsx, .xls, .ods or a page with a table; in any encoding.",
    )
    kind = serializers.ChoiceField(
        choices=ImportKind.choices,
        required=False,
        default=ImportKind.FANS,
        help_text="What each row is: a fan, or a transaction with a time and two of gross, fee and net.",
    )
    mapping = MappingField(required=False, allow_null=True, default=None)
    overwrite = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="Fields that follow the file even where people edited them here: name, email, tags, notes; "
        "with commas between them.",
    )
    dayFirst = serializers.BooleanField(
        source="day_first",
        required=False,
        allow_null=True,
        default=None,
        help_text="How to read 3/4/2026. Only needed where nothing in the file says so; the answer is then 422.",
    )
    decimalMark = serializers.ChoiceField(
        source="decimal_mark",
        choices=[".", ","],
        required=False,
        help_text="How to read 1,234 and 1.234, where the clear amounts of the file do not say so.",
    )
    remembered = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Take what is not given of mapping, overwrite and dayFirst from the last import of the same columns. "
        "A notice says what that was, also where it was not asked for.",
    )
    dryRun = serializers.BooleanField(source="dry_run", required=False, default=False)

    def validate_overwrite(self, value: str) -> list[str]:
        return [name for name in (part.strip() for part in value.split(",")) if name]


class ImportSummarySerializer(serializers.Serializer[ImportBatch]):
    """totalRows is the sum of the others. A skipped row was overtaken by a later one; errors counts rejected rows."""

    totalRows = serializers.IntegerField(source="total_rows")
    successfulInserts = serializers.IntegerField(source="inserted")
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    skipped = serializers.IntegerField()
    # A declared field; the metaclass takes it out of the class, where the name is the serializer's own.
    errors = serializers.IntegerField(source="rejected_rows")  # type: ignore[assignment]


class ImportProblemSerializer(serializers.Serializer[Any]):
    """`row` is the row's number in a spreadsheet, and `sheet` its sheet where several were read, else empty.

    An empty `column` means the row as a whole. In `value` the characters that cannot be seen are written as codes.
    """

    row = serializers.IntegerField()
    sheet = serializers.CharField()
    column = serializers.CharField()
    value = serializers.CharField()
    error = serializers.CharField()


class ImportNoticeSerializer(serializers.Serializer[Any]):
    """What happened to a row that was not rejected, or to the file where `row` is null."""

    row = serializers.IntegerField(allow_null=True)
    sheet = serializers.CharField()
    text = serializers.CharField()


class ImportProgressSerializer(serializers.Serializer[ImportJob]):
    """How much of the file has been read and then, of a file of fans, how many of those who are new are written.

    Each pair is 0 until its total is known. What is written counts from the end on, all together.
    """

    rowsDone = serializers.IntegerField(source="rows_done")
    rowsTotal = serializers.IntegerField(source="rows_total")
    fansDone = serializers.IntegerField(source="fans_done")
    fansTotal = serializers.IntegerField(source="fans_total")


class ImportReadingSerializer(serializers.Serializer[Any]):
    """How the file was read. `headerRow` is 0 for a file without a header; `sheets` are those that hold a table, where
    there are several."""

    headerRow = serializers.IntegerField(default=None, allow_null=True)
    encoding = serializers.CharField(default="")
    encodingCertain = serializers.BooleanField(default=True)
    delimiter = serializers.CharField(default="")
    sheets = serializers.ListField(child=serializers.CharField(), default=list)
    sheetsRead = serializers.ListField(child=serializers.CharField(), default=list)
    dateOrder = serializers.CharField(default="")
    decimalMark = serializers.CharField(default="")


class ImportSumSerializer(serializers.Serializer[Any]):
    """What the right rows come to: of transactions by month, in the creator's time zone, and currency; of fans one."""

    month = serializers.CharField(allow_null=True)
    currency = serializers.CharField()
    rows = serializers.IntegerField()
    grossCents = serializers.IntegerField(default=None, allow_null=True)
    feeCents = serializers.IntegerField(default=None, allow_null=True)
    netCents = serializers.IntegerField(default=None, allow_null=True)
    valueCents = serializers.IntegerField(default=None, allow_null=True)


class ImportContentsSerializer(serializers.Serializer[Any]):
    """`leftOut` are the columns that were not read; one without a name is called by its letter."""

    leftOut = serializers.ListField(child=serializers.CharField(), default=list)
    sums = ImportSumSerializer(many=True, default=list)


class ImportFailureSerializer(serializers.Serializer[ImportBatch]):
    code = serializers.CharField(source="error_code")
    detail = serializers.CharField(source="error")

    def to_representation(self, batch: ImportBatch) -> Any:
        if batch.status != ImportStatus.FAILED:
            return None
        told = super().to_representation(batch)
        return {**told, "detail": in_words(told["detail"])}


# What every answer about an import begins with. A docstring would be in the API's document, at both.
class ImportSerializer(serializers.Serializer[ImportBatch]):
    importId = serializers.IntegerField(source="id")
    kind = serializers.ChoiceField(choices=ImportKind.choices)
    filename = serializers.CharField()
    status = serializers.ChoiceField(choices=ImportStatus.choices)
    dryRun = serializers.BooleanField(source="is_dry_run")
    createdAt = serializers.DateTimeField(source="created_at")
    undoneAt = serializers.DateTimeField(source="undone_at", allow_null=True)


class ImportResultSerializer(ImportSerializer):
    progress = ImportProgressSerializer(
        source="job", default=None, allow_null=True, help_text="Of an import that was left to a worker; else null."
    )
    failure = ImportFailureSerializer(
        source="*", allow_null=True, help_text="Why nothing was imported; null unless the status is `failed`."
    )
    summary = ImportSummarySerializer(source="*")
    mapping = MappingField()
    reading = ImportReadingSerializer()
    contents = ImportContentsSerializer()
    errors = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text=f"The first {SHOWN_MAX:,} problems."
    )
    notices = serializers.SerializerMethodField(help_text=f"The first {SHOWN_MAX:,} notices.")

    @extend_schema_field(ImportProblemSerializer(many=True))
    def get_errors(self, batch: ImportBatch) -> list[dict[str, object]]:
        problems = islice(selectors.import_problems(batch), SHOWN_MAX)
        return [{**problem, "error": in_words(str(problem["error"]))} for problem in problems]

    @extend_schema_field(ImportNoticeSerializer(many=True))
    def get_notices(self, batch: ImportBatch) -> list[dict[str, object]]:
        notices = islice(selectors.import_notices(batch), SHOWN_MAX)
        return [{**notice, "text": in_words(str(notice["text"]))} for notice in notices]


class ImportListSerializer(ImportSerializer):
    createdBy = serializers.CharField(source="created_by.email", default=None, allow_null=True)
    summary = ImportSummarySerializer(source="*")


class ImportPagination(KeysetPagination):
    ordering = ("-created_at", "-id")


class ManagerAPIView(CreatorAPIView):
    """Imports hold what files said about people, so those who may not import do not read them either."""

    read_roles: ClassVar[frozenset[Role]] = MANAGERS
    write_roles: ClassVar[frozenset[Role]] = MANAGERS


class UploadAPIView(ManagerAPIView):
    """Takes a file of at most IMPORT_MAX_BYTES."""

    parser_classes = [MultiPartParser]
    write_scope = "imports"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Before the body is read: what is far too large is not even taken in.
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit():
            size_check(int(length) - FORM_MAX_BYTES, max_bytes=settings.IMPORT_MAX_BYTES)


class ImportCsvView(OnceAPIView, UploadAPIView):
    """Import fans from a CSV file. Every row is accounted for; a rejected one is told with line, column and reason."""

    @extend_schema(
        operation_id="imports_create",
        parameters=ONCE_PARAMETERS,
        request={"multipart/form-data": ImportRequestSerializer},
        responses={
            200: ImportResultSerializer,
            202: OpenApiResponse(
                ImportResultSerializer,
                description="The file is large, so a worker imports it. `Location` says where to see how far it is: "
                "in the same answer, whose status goes from `queued` over `running` to `done`, `dry_run` or `failed`.",
            ),
            413: OpenApiResponse(description="The file is over the size limit; nothing is stored."),
            422: OpenApiResponse(description="The file cannot be read as a list of fans; nothing is stored."),
        },
    )
    @once
    def post(self, request: Request) -> Response:
        asked = self.read(ImportRequestSerializer)
        upload = asked["file"]
        batch = import_soon(
            creator=self.creator,
            user=self.membership.user,
            filename=upload.name,
            content=upload.file,
            kind=ImportKind(asked["kind"]),
            mapping=asked["mapping"],
            overwrite=asked.get("overwrite"),
            day_first=asked["day_first"],
            decimal_mark=asked.get("decimal_mark"),
            layout=layout_asked(asked),
            remembered=asked["remembered"],
            dry_run=asked["dry_run"],
            on_stored=self.stored,
        )
        return self.answer(batch)

    def answer_again(self, subject: str) -> Response:
        return self.answer(selectors.import_get(creator=self.creator, import_id=int(subject)))

    def answer(self, batch: ImportBatch) -> Response:
        answer = Response(ImportResultSerializer(batch).data)
        if batch.is_waiting:
            answer.status_code = 202
            answer["Location"] = reverse("import-detail", args=[batch.pk])
        return answer


class ImportFilterSerializer(QueryParameters):
    """The query parameters of the list of imports."""

    dryRun = serializers.BooleanField(
        source="dry_run",
        required=False,
        default=None,
        allow_null=True,
        help_text="Checks alone, which changed nothing, or all but those; without it both.",
    )


class ImportListView(ManagerAPIView):
    """The creator's imports, the newest first."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "onlyfans/_imports.html"

    @extend_schema(
        operation_id="imports_list",
        parameters=[*CREATOR_PARAMETERS, ImportFilterSerializer],
        responses=ImportListSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.import_list(creator=self.creator, **self.asked(ImportFilterSerializer))
        return self.listed(rows, ImportListSerializer, ImportPagination)


class ImportView(ManagerAPIView):
    """One import with its problems."""

    @extend_schema(operation_id="imports_retrieve", parameters=CREATOR_PARAMETERS, responses=ImportResultSerializer)
    def get(self, request: Request, import_id: int) -> Response:
        return Response(ImportResultSerializer(selectors.import_get(creator=self.creator, import_id=import_id)).data)


class ImportUndoneSerializer(serializers.Serializer[FanUndo | TransactionUndo]):
    """Fans or, of an import of transactions, transactions.

    `kept` counts those that stay: fans that were changed since, transactions that another source told of since.
    """

    deleted = serializers.IntegerField()
    restored = serializers.IntegerField()
    kept = serializers.IntegerField()


class ImportUndoView(ManagerAPIView):
    """Undo an import: what it made goes, what it changed is put back; 409 once a message went to one of its fans."""

    @extend_schema(
        operation_id="imports_undo",
        parameters=CREATOR_PARAMETERS,
        request=None,
        responses={
            200: ImportUndoneSerializer,
            409: OpenApiResponse(description="Nothing to undo, undone already, or its fans are in use by now."),
        },
    )
    def post(self, request: Request, import_id: int) -> Response:
        batch = selectors.import_get(creator=self.creator, import_id=import_id)
        return Response(ImportUndoneSerializer(import_services.import_undo(batch=batch)).data)


class ImportErrorsView(ManagerAPIView):
    """The rejected rows as CSV with a column `error`, ready to mend and upload again."""

    renderer_classes = [CsvRenderer]

    @extend_schema(
        operation_id="imports_errors",
        parameters=CREATOR_PARAMETERS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, import_id: int) -> Response:
        batch = selectors.import_get(creator=self.creator, import_id=import_id)
        return Response(
            "".join(rejected_csv(batch)),
            headers={"Content-Disposition": f'attachment; filename="import-{batch.pk}-errors.csv"'},
        )
