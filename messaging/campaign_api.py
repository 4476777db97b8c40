"""Answers the part of the HTTP API that writes to many fans: bulk messages, campaigns. Touches campaigns, selectors."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.idempotent_api import ONCE_PARAMETERS, once
from crm.json_types import JsonTypes, MomentField, QueryParameters
from crm.models import MessageStatus
from crm.pagination import KeysetPagination
from crm.payloads import media_urls
from crm.rendering import JSONRenderer
from crm.selectors import MANAGERS
from messaging import campaign_reports, campaign_steps, campaigns, selectors
from messaging.api import BlockedSerializer, ContentSerializer, ScheduleSerializer, SendingAPIView, trace_id_of
from messaging.campaign_reports import CampaignReport
from messaging.campaigns import (
    Audience,
    BulkRequest,
    CampaignPreview,
    CampaignReceipt,
    CampaignRequest,
    Example,
    Failed,
)
from messaging.failed_retry import campaign_retry
from messaging.models import CampaignStatus

NO_SUCH_STEP = OpenApiResponse(description="The campaign stands in a way in which this makes no sense.")
NAMED_MAX = 10_000
_TEXTS = {"type": "array", "items": {"type": "string"}}
_MOMENT = {"type": "string", "format": "date-time"}
# As Audience.to_json keeps it: what was not asked for is not there.
AUDIENCE_ASKED = {
    "type": "object",
    "description": "Who was asked for: the conditions of a campaign's audience that were given, or the `recipientIds` "
    "of a bulk message.",
    "properties": {
        "everybody": {"type": "boolean", "enum": [True]},
        "tags": _TEXTS,
        "minValueCents": {"type": "integer", "minimum": 0},
        "activeSince": _MOMENT,
        "notMessagedSince": _MOMENT,
        "exclude": _TEXTS,
        "recipientIds": _TEXTS,
    },
    "example": {"tags": ["vip"], "minValueCents": 5000},
}


class BulkSerializer(ContentSerializer, ScheduleSerializer):
    recipientIds = serializers.ListField(
        source="recipient_ids",
        child=serializers.CharField(max_length=64),
        help_text="From 1 to 100 fans, each by the id at the platform or as `fan_<id>`.",
    )
    campaignName = serializers.CharField(source="campaign_name", required=False, default="", allow_blank=True)


class AudienceSerializer(JsonTypes):
    """The fans for whom everything given holds; every fan is asked for by `everybody`."""

    everybody = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Every fan. It stands alone, or beside `exclude`; without it there must be a condition.",
    )
    recipientIds = serializers.ListField(
        source="recipient_ids",
        child=serializers.CharField(max_length=64),
        required=False,
        allow_null=True,
        default=None,
        max_length=NAMED_MAX,
        help_text="Fans chosen one by one, each by the id at the platform or as `fan_<id>`.",
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        default=list,
        help_text="Fans with at least one of these tags.",
    )
    minValueCents = serializers.IntegerField(
        source="min_value_cents", required=False, allow_null=True, default=None, min_value=0, max_value=2**53 - 1
    )
    activeSince = MomentField(source="active_since", required=False, allow_null=True, default=None)
    notMessagedSince = MomentField(
        source="not_messaged_since",
        required=False,
        allow_null=True,
        default=None,
        help_text="Fans to whom nothing was written since then that went out or still may.",
    )
    exclude = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        default=list,
        max_length=NAMED_MAX,
        help_text="Fans to leave out, each by the id at the platform or as `fan_<id>`.",
    )


class CampaignCreateSerializer(ContentSerializer):
    """One text to every fan of an audience.

    A fan without a name is called by the handle, one without a handle by the name, one with neither "there".
    """

    name = serializers.CharField(allow_blank=True)
    audience = AudienceSerializer()
    scheduledAt = MomentField(
        source="scheduled_at",
        required=False,
        allow_null=True,
        default=None,
        help_text="A time to come, with its offset; without it the campaign begins at once.",
    )


class FailedSerializer(serializers.Serializer[Failed]):
    recipientId = serializers.CharField(source="recipient_id")
    messageId = serializers.UUIDField(source="message_id")
    code = serializers.CharField()
    reason = serializers.CharField()


class CampaignReceiptSerializer(serializers.Serializer[CampaignReceipt]):
    """`failed` names those whose message the queue did not take; they are stored and can be sent again."""

    campaignId = serializers.IntegerField(source="report.campaign.pk")
    totalRecipients = serializers.IntegerField(source="report.total")
    status = serializers.ChoiceField(source="report.status", choices=CampaignStatus.choices)
    estimatedCompletionTime = serializers.DateTimeField(source="report.estimated_completion_at", allow_null=True)
    blocked = BlockedSerializer(source="report.blocked", allow_null=True)
    failed = FailedSerializer(many=True)


class ExampleSerializer(serializers.Serializer[Example]):
    recipientId = serializers.CharField(source="fan.platform_id")
    name = serializers.CharField(source="fan.name")
    handle = serializers.CharField(source="fan.handle")
    text = serializers.CharField()


class CampaignPreviewSerializer(serializers.Serializer[CampaignPreview]):
    totalRecipients = serializers.IntegerField(source="total")
    examples = ExampleSerializer(many=True)
    estimatedCompletionTime = serializers.DateTimeField(source="estimated_completion_at", allow_null=True)
    blocked = BlockedSerializer(allow_null=True)


class CampaignProgressSerializer(serializers.Serializer[Any]):
    """How many recipients are in each state."""

    pending = serializers.IntegerField()
    queued = serializers.IntegerField()
    parked = serializers.IntegerField()
    sending = serializers.IntegerField()
    sent = serializers.IntegerField()
    unknown = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    dismissed = serializers.IntegerField()
    bypassed = serializers.IntegerField()


class CampaignSerializer(serializers.Serializer[CampaignReport]):
    """A campaign and how it is getting on. `estimatedCompletionTime` is when the last message has its turn.

    It is null while nothing of the campaign can go out: `blocked` says why.
    """

    id = serializers.IntegerField(source="campaign.pk")
    name = serializers.CharField(source="campaign.name")
    content = serializers.CharField(source="campaign.content")
    mediaUrls = serializers.SerializerMethodField()
    priceCents = serializers.IntegerField(source="campaign.price_cents")
    audience = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=CampaignStatus.choices)
    scheduledAt = serializers.DateTimeField(source="campaign.scheduled_at", allow_null=True)
    createdAt = serializers.DateTimeField(source="campaign.created_at")
    totalRecipients = serializers.IntegerField(source="total")
    progress = CampaignProgressSerializer(source="counts")
    estimatedCompletionTime = serializers.DateTimeField(source="estimated_completion_at", allow_null=True)
    blocked = BlockedSerializer(allow_null=True)

    @extend_schema_field(AUDIENCE_ASKED)
    def get_audience(self, report: CampaignReport) -> dict[str, Any]:
        return audience_shown(report.campaign.audience)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_mediaUrls(self, report: CampaignReport) -> list[str]:
        return list(media_urls(report.campaign.attachments))


def audience_shown(asked: dict[str, Any]) -> dict[str, Any]:
    """One that was stored before every fan had to be asked for as such says so too."""
    narrows = asked.keys() - {"exclude", "minValueCents"} or asked.get("minValueCents")
    return asked if narrows else {**asked, "everybody": True}


class CampaignPagination(KeysetPagination):
    ordering = ("-created_at", "-id")


class CampaignOnceAPIView(SendingAPIView):
    """A view that starts a campaign. One text to many is more than the inbox: chatters read campaigns alone."""

    write_roles = MANAGERS

    def answer_again(self, subject: str) -> Response:
        receipt = campaigns.campaign_take_up(
            creator=self.creator, campaign_id=int(subject), trace_id=trace_id_of(self.request)
        )
        return Response(CampaignReceiptSerializer(receipt).data, status=202)


class BulkView(CampaignOnceAPIView):
    """Send one text to up to 100 fans; for owners and managers.

    It is stored whole, or not at all, and goes out at the pace that the platform allows. After a 503 with a
    `campaignId` the same request again, as in `messages/send`, or a POST to `retryUrl`, goes on with what was stored.
    """

    @extend_schema(
        operation_id="messages_bulk",
        parameters=ONCE_PARAMETERS,
        request=BulkSerializer,
        responses={
            202: CampaignReceiptSerializer,
            400: OpenApiResponse(description="Each recipient that is not known is named; nothing was stored."),
            503: OpenApiResponse(description="The queue took none of the messages; they are stored as failed."),
        },
    )
    @once
    def post(self, request: Request) -> Response:
        receipt = campaigns.bulk_send(
            creator=self.creator,
            user=self.membership.user,
            request=BulkRequest(**self.read(BulkSerializer)),
            trace_id=trace_id_of(request),
            on_stored=self.stored,
        )
        return Response(CampaignReceiptSerializer(receipt).data, status=202)


class CampaignFilterSerializer(QueryParameters):
    """The query parameters of a new campaign."""

    preview = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Answer how many fans it would reach, three texts and the finish time; store nothing.",
    )


class CampaignListView(CampaignOnceAPIView):
    """The creator's campaigns and bulk messages, the newest first; owners and managers start them."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_campaigns.html"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.query_params.get("preview"):
            # It sends nothing, and a page asks for one at every pause in writing.
            self.write_scope = ""
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="campaigns_list", parameters=CREATOR_PARAMETERS, responses=CampaignSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        return self.listed(
            selectors.campaign_list(creator=self.creator),
            CampaignSerializer,
            CampaignPagination,
            shown_as=campaign_reports.campaign_report_list,
        )

    @extend_schema(
        operation_id="campaigns_create",
        parameters=[
            *ONCE_PARAMETERS,
            CampaignFilterSerializer,
        ],
        request=CampaignCreateSerializer,
        responses={
            200: OpenApiResponse(CampaignPreviewSerializer, description="The preview."),
            202: CampaignReceiptSerializer,
        },
    )
    @once
    def post(self, request: Request) -> Response:
        """Start a campaign to every fan of its audience, or preview it; for owners and managers."""
        preview = self.asked(CampaignFilterSerializer)["preview"]
        data = self.read(CampaignCreateSerializer)
        wish = CampaignRequest(**{**data, "audience": Audience(**data["audience"])})
        if preview:
            self.fragment_template = "messaging/_campaign_preview.html"
            found = campaigns.campaign_preview(creator=self.creator, request=wish)
            return Response(CampaignPreviewSerializer(found).data)
        receipt = campaigns.campaign_create(
            creator=self.creator,
            user=self.membership.user,
            request=wish,
            trace_id=trace_id_of(request),
            on_stored=self.stored,
        )
        return Response(CampaignReceiptSerializer(receipt).data, status=202)


class CampaignAPIView(CreatorAPIView):
    """A view that shows one campaign, as data or as the head of its page."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_campaign.html"


class CampaignView(CampaignAPIView):
    """One campaign and how it is getting on."""

    @extend_schema(operation_id="campaigns_retrieve", parameters=CREATOR_PARAMETERS, responses=CampaignSerializer)
    def get(self, request: Request, campaign_id: int) -> Response:
        campaign = selectors.campaign_get(creator=self.creator, campaign_id=campaign_id)
        return Response(CampaignSerializer(campaign_reports.campaign_report(campaign)).data)


class CampaignPauseView(CampaignAPIView):
    """Pause a campaign: nothing more of it goes out until it is resumed; for owners and managers."""

    write_roles = MANAGERS

    @extend_schema(
        operation_id="campaigns_pause",
        parameters=CREATOR_PARAMETERS,
        request=None,
        responses={200: CampaignSerializer, 409: NO_SUCH_STEP},
    )
    def post(self, request: Request, campaign_id: int) -> Response:
        report = campaign_steps.campaign_pause(creator=self.creator, campaign_id=campaign_id)
        return Response(CampaignSerializer(report).data)


class CampaignResumeView(CampaignAPIView):
    """Resume a paused campaign: the rest of it goes out, from now on; for owners and managers."""

    write_roles = MANAGERS

    @extend_schema(
        operation_id="campaigns_resume",
        parameters=CREATOR_PARAMETERS,
        request=None,
        responses={200: CampaignSerializer, 409: NO_SUCH_STEP},
    )
    def post(self, request: Request, campaign_id: int) -> Response:
        report = campaign_steps.campaign_resume(creator=self.creator, campaign_id=campaign_id)
        return Response(CampaignSerializer(report).data)


class CampaignCancelView(CampaignAPIView):
    """Cancel a campaign: nothing more of it goes out, for good; for owners and managers."""

    write_roles = MANAGERS

    @extend_schema(
        operation_id="campaigns_cancel",
        parameters=CREATOR_PARAMETERS,
        request=None,
        responses={200: CampaignSerializer, 409: NO_SUCH_STEP},
    )
    def post(self, request: Request, campaign_id: int) -> Response:
        report = campaign_steps.campaign_cancel(creator=self.creator, campaign_id=campaign_id)
        return Response(CampaignSerializer(report).data)


class CampaignRetryView(CampaignAPIView, SendingAPIView):
    """Send what failed of it again, 500 at a time; what may have arrived is left to a person."""

    write_roles = MANAGERS

    @extend_schema(
        operation_id="campaigns_retry",
        parameters=ONCE_PARAMETERS,
        request=None,
        responses={200: CampaignSerializer, 409: OpenApiResponse(description="Nothing failed, or it was cancelled.")},
    )
    @once
    def post(self, request: Request, campaign_id: int) -> Response:
        report = campaign_retry(
            creator=self.creator, campaign_id=campaign_id, trace_id=trace_id_of(request), on_stored=self.stored
        )
        return Response(CampaignSerializer(report).data)

    def answer_again(self, subject: str) -> Response:
        campaign = selectors.campaign_get(creator=self.creator, campaign_id=int(subject))
        report = campaign_reports.campaign_report(campaign)
        # SQS took none of them. After a crash some may be on their way, and those that failed since are another matter.
        if self.claim and self.claim.resumed and report.counts[MessageStatus.FAILED]:
            report = campaign_retry(creator=self.creator, campaign_id=campaign.pk, trace_id=trace_id_of(self.request))
        return Response(CampaignSerializer(report).data)
