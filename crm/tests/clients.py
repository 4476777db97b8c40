"""Answers who asks in a test: clients of the API and of the pages, signed in. Touches the test database."""

from django.test import Client
from rest_framework.test import APIClient

from crm.models import Creator, Role
from crm.tests.factories import MembershipFactory, UserFactory


def signed_in(creator: Creator | None = None, role: Role = Role.OWNER) -> APIClient:
    """Somebody new who works for the creator, or for nobody, and asks the API."""
    client = APIClient()
    client.force_authenticate(
        UserFactory.create() if creator is None else MembershipFactory.create(creator=creator, role=role).user
    )
    return client


def page_client(creator: Creator, role: Role = Role.OWNER) -> Client:
    """The same person in a browser."""
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=role).user)
    return client
