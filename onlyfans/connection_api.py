"""Answers an OnlyFans account over HTTP: its state, connecting, disconnecting. Touches connection and selectors."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes
from crm.models import Role
from crm.rendering import JSONRenderer
from crm.selectors import MANAGERS
from onlyfans import selectors
from onlyfans.connection import connection_close, connection_open
from onlyfans.models import AccountState, Resource
from onlyfans.selectors import Connection, Synced


class AccountRequestSerializer(JsonTypes):
    apiKey = serializers.CharField(
        source="api_key", max_length=500, write_only=True, help_text="The vendor's key; it is never given back."
    )
    accountId = serializers.CharField(
        source="account_id",
        max_length=64,
        required=False,
        allow_blank=True,
        default="",
        help_text="Which of the accounts that the key reaches; without it the one connected before, else the only one.",
    )
    cancelWaiting = serializers.BooleanField(
        source="cancel_waiting",
        required=False,
        default=False,
        help_text="Where it is another account than before: cancel what still waits to be sent from that one.",
    )


class SyncedSerializer(serializers.Serializer[Synced]):
    """When the last finished sync of the resource began; null where none has finished."""

    resource = serializers.ChoiceField(choices=Resource.choices)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)


class AccountSerializer(serializers.Serializer[Connection]):
    """`state` is null where no account was ever connected; without `webhookRegisteredAt` no events come in."""

    state = serializers.ChoiceField(choices=AccountState.choices, allow_null=True)
    accountId = serializers.CharField(source="account_id", allow_blank=True)
    connectedAt = serializers.DateTimeField(source="connected_at", allow_null=True)
    webhookRegisteredAt = serializers.DateTimeField(source="webhook_registered_at", allow_null=True)
    lastEventAt = serializers.DateTimeField(source="last_event_at", allow_null=True)
    synced = SyncedSerializer(many=True)


class AccountView(CreatorAPIView):
    """The creator's OnlyFans account."""

    write_roles: ClassVar[frozenset[Role]] = MANAGERS
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "onlyfans/_account.html"

    @extend_schema(operation_id="account_retrieve", parameters=CREATOR_PARAMETERS, responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        return self._state()

    @extend_schema(
        operation_id="account_connect",
        parameters=CREATOR_PARAMETERS,
        request=AccountRequestSerializer,
        responses={
            200: AccountSerializer,
            400: OpenApiResponse(description="The key is refused, or reaches no account or not this one."),
            409: OpenApiResponse(
                description="The key reaches several accounts (`accounts` names them), the account is another"
                " creator's, or messages wait to be sent from the one before (`waiting` says how many)."
            ),
            503: OpenApiResponse(description="The vendor does not answer; nothing is changed."),
        },
    )
    def post(self, request: Request) -> Response:
        """Connect by a vendor's key, or rotate the key."""
        asked = self.read(AccountRequestSerializer)
        connection_open(creator=self.creator, base_url=request.build_absolute_uri("/"), **asked)
        return self._state()

    @extend_schema(operation_id="account_disconnect", parameters=CREATOR_PARAMETERS, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Disconnect: nothing is sent and no event comes in; all data stays."""
        connection_close(creator=self.creator, base_url=request.build_absolute_uri("/"))
        return Response(status=204)

    def _state(self) -> Response:
        return Response(AccountSerializer(selectors.connection_get(creator=self.creator)).data)
