"""Answers which address leads to which page of messages. Touches nothing else."""

from django.urls import path

from messaging import campaign_pages, pages

urlpatterns = [
    path("messages/onlyfans", pages.inbox, name="inbox"),
    path("messages/onlyfans/status", pages.status, name="sending-status"),
    path("messages/onlyfans/sign", pages.sign, name="sending-sign"),
    path("messages/onlyfans/state", pages.state, name="inbox-state"),
    path("messages/onlyfans/resume", pages.resume, name="sending-resume"),
    path("messages/onlyfans/<int:conversation_id>", pages.conversation, name="conversation"),
    path("messages/bulk", campaign_pages.campaign_new, name="campaign-new"),
    path("messages/campaigns", campaign_pages.campaign_list, name="campaigns-page"),
    path("messages/campaigns/<int:campaign_id>", campaign_pages.campaign_page, name="campaign-page"),
]
