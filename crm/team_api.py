"""Answers the API of a creator's team: who is on it, adding, another role, removing. Touches selectors and team."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors, team
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes
from crm.models import Membership, Role
from crm.rendering import JSONParser, JSONRenderer

LAST_OWNER = OpenApiResponse(description="It is the last owner.")


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """Somebody who works for the creator, and since when."""

    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Membership
        fields = ("id", "email", "name", "role", "createdAt")


class RoleSerializer(JsonTypes):
    """What somebody may do on the team."""

    role = serializers.ChoiceField(choices=Role.choices)


class MemberAddSerializer(RoleSerializer):
    """Somebody who has an account here already."""

    email = serializers.EmailField()


class TeamAPIView(CreatorAPIView):
    """Owners and managers see the team; owners alone change it. Each answer is the whole team, which is small."""

    read_roles: ClassVar[frozenset[Role]] = selectors.MANAGERS
    write_roles: ClassVar[frozenset[Role]] = frozenset({Role.OWNER})
    parser_classes = (JSONParser, FormParser)
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_team.html"
    paged = False
    roles = Role.choices

    def shown(self, *, status: int = 200) -> Response:
        members = selectors.member_list(creator=self.creator)
        return Response(MemberSerializer(members, many=True).data, status=status)


class TeamView(TeamAPIView):
    """Who works for the creator, by name."""

    @extend_schema(operation_id="team_list", parameters=CREATOR_PARAMETERS, responses=MemberSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.shown()

    @extend_schema(
        operation_id="team_add",
        parameters=CREATOR_PARAMETERS,
        request=MemberAddSerializer,
        responses={
            201: MemberSerializer(many=True),
            409: OpenApiResponse(description="They are on the team already."),
        },
    )
    def post(self, request: Request) -> Response:
        """Let somebody with an account work for the creator."""
        team.member_add(creator=self.creator, **self.read(MemberAddSerializer))
        return self.shown(status=201)


class MemberView(TeamAPIView):
    """One member of the team."""

    # Whose role was changed just now, for the page.
    changed: int | None = None

    @extend_schema(
        operation_id="team_change",
        parameters=CREATOR_PARAMETERS,
        request=RoleSerializer,
        responses={200: MemberSerializer(many=True), 409: LAST_OWNER},
    )
    def put(self, request: Request, member_id: int) -> Response:
        """Give them another role."""
        team.member_change(creator=self.creator, membership_id=member_id, **self.read(RoleSerializer))
        self.changed = member_id
        return self.shown()

    @extend_schema(
        operation_id="team_remove",
        parameters=CREATOR_PARAMETERS,
        responses={200: MemberSerializer(many=True), 409: LAST_OWNER},
    )
    def delete(self, request: Request, member_id: int) -> Response:
        """End their work for the creator; what they wrote stays."""
        team.member_remove(creator=self.creator, membership_id=member_id)
        return self.shown()
