"""Answers which address leads to which page of messages. Touches nothing else."""

from django.urls import path

from messaging import pages

urlpatterns = [
    path("messages/onlyfans", pages.inbox, name="inbox"),
    path("messages/onlyfans/resume", pages.resume, name="sending-resume"),
    path("messages/onlyfans/<int:conversation_id>", pages.conversation, name="conversation"),
]
