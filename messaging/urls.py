"""Answers which address of the API leads to which view that sends. Touches nothing else."""

from django.urls import path

from messaging import api, campaign_api, campaign_ledger_api, limit_api, message_api, status_api

urlpatterns = [
    # First, because most requests go there and addresses are tried one after the other.
    path(
        "crm/conversations/<int:conversation_id>/messages",
        api.ConversationMessagesView.as_view(),
        name="conversation-messages",
    ),
    path("onlyfans/messages/send", api.SendView.as_view(), name="messages-send"),
    path("onlyfans/messages/status", status_api.StatusView.as_view(), name="messages-status"),
    path("onlyfans/messages/limit", limit_api.LimitView.as_view(), name="messages-limit"),
    path("onlyfans/messages/failed", api.FailedView.as_view(), name="messages-failed"),
    path("onlyfans/messages", message_api.MessageListView.as_view(), name="messages"),
    path("onlyfans/messages/<uuid:message_id>", message_api.MessageView.as_view(), name="message"),
    path("onlyfans/messages/<uuid:message_id>/cancel", message_api.MessageCancelView.as_view(), name="messages-cancel"),
    path("onlyfans/messages/<uuid:message_id>/settle", message_api.MessageSettleView.as_view(), name="messages-settle"),
    path("onlyfans/messages/<uuid:message_id>/retry", api.RetryView.as_view(), name="messages-retry"),
    path("messages/bulk", campaign_api.BulkView.as_view(), name="messages-bulk"),
    path("messages/campaigns", campaign_api.CampaignListView.as_view(), name="campaigns"),
    path("messages/campaigns/<int:campaign_id>", campaign_api.CampaignView.as_view(), name="campaign"),
    path(
        "messages/campaigns/<int:campaign_id>/recipients",
        campaign_ledger_api.CampaignRecipientsView.as_view(),
        name="campaign-recipients",
    ),
    path(
        "messages/campaigns/<int:campaign_id>/recipients.csv",
        campaign_ledger_api.CampaignLedgerView.as_view(),
        name="campaign-ledger",
    ),
    path("messages/campaigns/<int:campaign_id>/retry", campaign_api.CampaignRetryView.as_view(), name="campaign-retry"),
    path("messages/campaigns/<int:campaign_id>/pause", campaign_api.CampaignPauseView.as_view(), name="campaign-pause"),
    path(
        "messages/campaigns/<int:campaign_id>/resume", campaign_api.CampaignResumeView.as_view(), name="campaign-resume"
    ),
    path(
        "messages/campaigns/<int:campaign_id>/cancel", campaign_api.CampaignCancelView.as_view(), name="campaign-cancel"
    ),
]
