"""Answers over HTTP what a file holds before it is imported. Touches file_preview alone."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS
from crm.stored_words import in_words
from onlyfans.api import LayoutRequest, MappingField, UploadAPIView, layout_asked
from onlyfans.csv_import import FilePreview, file_preview
from onlyfans.csv_layout import Found
from onlyfans.models import ImportKind


class PreviewRequestSerializer(LayoutRequest):
    file = serializers.FileField(allow_empty_file=True)
    kind = serializers.ChoiceField(
        choices=ImportKind.choices,
        required=False,
        allow_null=True,
        default=None,
        help_text="What each row is; without it, what the last import of such columns or the headers say.",
    )


class RememberedImportSerializer(serializers.Serializer[Any]):
    importId = serializers.IntegerField(source="id")
    filename = serializers.CharField()
    createdAt = serializers.DateTimeField(source="created_at")


class FoundSerializer(serializers.Serializer[Found]):
    """How the file was read; what of it is wrong can be sent with the file. `sheets` are those with a table, where
    there are several; `encodings` those that a text file can be in."""

    headerRow = serializers.IntegerField(source="header_row")
    sheets = serializers.ListField(child=serializers.CharField())
    sheetsRead = serializers.ListField(child=serializers.CharField(), source="read")
    encoding = serializers.CharField()
    encodingCertain = serializers.BooleanField(source="encoding_certain")
    encodings = serializers.ListField(child=serializers.CharField())
    delimiter = serializers.CharField()


class PreviewSerializer(serializers.Serializer[FilePreview]):
    """`kind` is what the columns are those of, and `mapping` has every field of it, null where no column is known for
    it; both can be sent to the import as they are.

    With `remembered`, mapping and overwrite are those of that import: the last one of a file with the same columns.
    """

    kind = serializers.ChoiceField(choices=ImportKind.choices)
    header = serializers.ListField(child=serializers.CharField(allow_blank=True))
    firstRows = serializers.SerializerMethodField()
    totalRows = serializers.IntegerField(source="total_rows")
    mapping = MappingField()
    overwrite = serializers.ListField(child=serializers.CharField())
    remembered = RememberedImportSerializer(allow_null=True)
    layout = FoundSerializer(source="found")
    notices = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.ListField(child=serializers.CharField())))
    def get_firstRows(self, preview: FilePreview) -> list[list[str]]:
        return preview.first_rows

    def get_notices(self, preview: FilePreview) -> list[str]:
        return [in_words(notice) for notice in preview.notices]


class ImportPreviewView(UploadAPIView):
    """Look into a file of fans: its columns, first rows, and what the import would make of them. Stores nothing."""

    # Looking is part of choosing a file, and must not use up the imports.
    write_scope = "previews"

    @extend_schema(
        operation_id="imports_preview",
        parameters=CREATOR_PARAMETERS,
        request={"multipart/form-data": PreviewRequestSerializer},
        responses={
            200: PreviewSerializer,
            413: OpenApiResponse(description="The file is over the size limit."),
            422: OpenApiResponse(description="The file holds no table."),
        },
    )
    def post(self, request: Request) -> Response:
        asked = self.read(PreviewRequestSerializer)
        kind = asked["kind"]
        preview = file_preview(
            creator=self.creator,
            content=asked["file"].file,
            kind=ImportKind(kind) if kind else None,
            layout=layout_asked(asked),
            max_bytes=settings.IMPORT_MAX_BYTES,
        )
        return Response(PreviewSerializer(preview).data)
