"""Answers the API of a creator itself: what it is called and whose days it counts. Touches time_zones."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes
from crm.models import Creator
from crm.rendering import JSONParser, JSONRenderer
from crm.time_zones import Zone, creator_time_zone_set, zone_choices


class CreatorSerializer(serializers.ModelSerializer[Creator]):
    """Days, weeks and months of every figure are those of `timeZone`, a name as in the tz database."""

    timeZone = serializers.CharField(source="time_zone")

    class Meta:
        model = Creator
        fields = ("id", "name", "timeZone")


class CreatorChangeSerializer(JsonTypes):
    """What of a creator can be changed."""

    timeZone = serializers.CharField(
        source="time_zone", max_length=64, help_text="A name of the tz database, such as Europe/Paris."
    )


class CreatorView(CreatorAPIView):
    """The creator that the caller works for. Everybody sees it; owners and managers change it."""

    write_roles = selectors.MANAGERS
    parser_classes = (JSONParser, FormParser)
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_time_zone.html"
    # For the page, which says so where it was changed just now.
    changed = False

    @property
    def zones(self) -> list[Zone]:
        return zone_choices(chosen=self.creator.time_zone)

    @extend_schema(operation_id="creator_get", parameters=CREATOR_PARAMETERS, responses=CreatorSerializer)
    def get(self, request: Request) -> Response:
        return Response(CreatorSerializer(self.creator).data)

    @extend_schema(
        operation_id="creator_change",
        parameters=CREATOR_PARAMETERS,
        request=CreatorChangeSerializer,
        responses=CreatorSerializer,
    )
    def put(self, request: Request) -> Response:
        """Count by the days of another time zone; what was counted so far is counted anew before the answer comes."""
        creator = creator_time_zone_set(creator=self.creator, name=self.read(CreatorChangeSerializer)["time_zone"])
        self.changed = True
        return Response(CreatorSerializer(creator).data)
