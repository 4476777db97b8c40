"""Answers which address of the API leads to which CRM view. Touches nothing else."""

from django.urls import path

from crm import api, creator_api, fan_api, fan_list_api, purchase_api, quick_reply_api, team_api

urlpatterns = [
    # First, because most requests go there and addresses are tried one after the other.
    path("conversations", api.ConversationListView.as_view(), name="conversations"),
    path("conversations/<int:conversation_id>/read", api.ConversationReadView.as_view(), name="conversation-read"),
    path("fans", fan_list_api.FanListView.as_view(), name="fans"),
    path("fans/tags", fan_list_api.FanTagView.as_view(), name="fans-tag"),
    path("fans/<int:fan_id>", fan_api.FanView.as_view(), name="fan"),
    path("fans/<int:fan_id>/restore", fan_api.FanRestoreView.as_view(), name="fan-restore"),
    path("fans/<int:fan_id>/purchases", purchase_api.FanPurchasesView.as_view(), name="fan-purchases"),
    path("fans/<int:fan_id>/export", fan_api.FanExportView.as_view(), name="fan-export"),
    path("creator", creator_api.CreatorView.as_view(), name="creator"),
    path("team", team_api.TeamView.as_view(), name="team"),
    path("team/<int:member_id>", team_api.MemberView.as_view(), name="member"),
    path("quick-replies", quick_reply_api.QuickReplyListView.as_view(), name="quick-replies"),
    path("quick-replies/<int:quick_reply_id>", quick_reply_api.QuickReplyView.as_view(), name="quick-reply"),
]
