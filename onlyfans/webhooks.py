"""Answers the vendor's events: verified, read, stored once, then answered. Touches the event's table; nothing else."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.errors import InvalidInput, TooLarge
from onlyfans.event_payloads import envelope_of
from onlyfans.selectors import account_by_key
from onlyfans.services import webhook_event_store
from onlyfans.webhook_auth import signed_by_any

BODY_MAX_BYTES = 1_000_000


class WebhookView(APIView):
    """Take one event of the platform.

    It is stored before the answer and applied afterwards, so a repeated delivery does no harm.
    """

    # The signature says who it is.
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    # The signature is of the bytes, which are read as they are, whatever the header calls them.
    parser_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        # Without one the framework answers 403 in the place of 401.
        return "Signature"

    @extend_schema(
        operation_id="webhooks_receive",
        auth=[],
        parameters=[
            OpenApiParameter(
                "Signature",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                required=True,
                description="HMAC-SHA256 of the body as it is sent, under the account's secret, in hexadecimal.",
            ),
            OpenApiParameter(
                "X-OFAPI-Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The event's name: one that came before is stored once.",
            ),
        ],
        request={"application/json": OpenApiTypes.OBJECT},
        responses={
            200: inline_serializer("WebhookReceipt", {"stored": serializers.BooleanField()}),
            400: OpenApiResponse(description="The body is no event, or one of another account."),
            401: OpenApiResponse(description="The signature fits no secret of the account."),
            404: OpenApiResponse(description="There is no such account."),
            413: OpenApiResponse(description="The body is over 1 MB."),
        },
    )
    def post(self, request: Request, account_key: str) -> Response:
        account = account_by_key(account_key)
        # One byte more than is allowed: an honest length is not taken on trust.
        raw: bytes = request.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise TooLarge("An event holds at most 1 MB.")
        secrets = (account.webhook_secret, account.webhook_secret_previous)
        if not signed_by_any(raw, signature=request.headers.get("Signature", ""), secrets=secrets):
            raise AuthenticationFailed("The signature fits no secret of this account.")
        envelope = envelope_of(raw)
        if envelope.account_id != account.account_id:
            raise InvalidInput("The event is about another account than its address.", code="account_mismatch")
        new = webhook_event_store(
            account=account,
            event_id=request.headers.get("X-OFAPI-Idempotency-Key", ""),
            envelope=envelope,
            body=raw.decode(),
        )
        return Response({"stored": new})
