"""Answers which address of the API leads to which CRM view. Touches nothing else."""

from django.urls import path

from crm import api, fan_api

urlpatterns = [
    path("fans", fan_api.FanListView.as_view(), name="fans"),
    path("fans/<int:fan_id>", fan_api.FanView.as_view(), name="fan"),
    path("fans/<int:fan_id>/restore", fan_api.FanRestoreView.as_view(), name="fan-restore"),
    path("fans/<int:fan_id>/export", fan_api.FanExportView.as_view(), name="fan-export"),
    path("conversations", api.ConversationListView.as_view(), name="conversations"),
    path("conversations/<int:conversation_id>/read", api.ConversationReadView.as_view(), name="conversation-read"),
]
