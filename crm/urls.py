"""Answers which address of the API leads to which CRM view. Touches nothing else."""

from django.urls import path

from crm import api

urlpatterns = [
    path("fans", api.FanListView.as_view(), name="fans"),
    path("fans/<int:fan_id>", api.FanView.as_view(), name="fan"),
    path("conversations", api.ConversationListView.as_view(), name="conversations"),
    path("conversations/<int:conversation_id>/read", api.ConversationReadView.as_view(), name="conversation-read"),
]
