"""Answers which address of the API leads to which view that sends. Touches nothing else."""

from django.urls import path

from messaging import api

urlpatterns = [
    path("onlyfans/messages/send", api.SendView.as_view(), name="messages-send"),
    path("onlyfans/messages/status", api.StatusView.as_view(), name="messages-status"),
    path("onlyfans/messages/failed", api.FailedView.as_view(), name="messages-failed"),
    path("onlyfans/messages/<uuid:message_id>/retry", api.RetryView.as_view(), name="messages-retry"),
    path(
        "crm/conversations/<int:conversation_id>/messages",
        api.ConversationMessagesView.as_view(),
        name="conversation-messages",
    ),
]
