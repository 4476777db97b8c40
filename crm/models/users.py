"""Answers which tables keep who signs in, and where from. Touches the database alone."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from crm.models.indexes import search_index


class UserManager(DjangoUserManager["User"]):
    """Users are known by their e-mail address alone; it is kept in lower case."""

    def _create(self, email: str, password: str | None, **extra: Any) -> "User":
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_user(  # type: ignore[override]  # Django's own signature asks for a user name first
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        return self._create(email, password, **{"is_staff": False, "is_superuser": False, **extra})

    def create_superuser(  # type: ignore[override]
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        return self._create(email, password, **{**extra, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractUser):
    """A person who signs in. What they reach is said by Membership alone."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=150, blank=True)
    # As a code of settings.LANGUAGES; empty where they never chose, so that the browser's language counts.
    language = models.CharField(max_length=10, blank=True, db_default="", editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            # Two accounts that differ only in case would be one person's mailbox.
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
        ]
        indexes = [search_index("user_search", "email", "name")]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name


class SignIn(models.Model):
    """Where a user is signed in: in a browser, by its session, or a program, by the claim that its tokens carry."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True, null=True, blank=True)
    token_sign_in = models.UUIDField(unique=True, null=True, blank=True)
    # As the browser or program calls itself.
    agent = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(db_default=Now())
    # Of tokens, when they were last renewed.
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "sign-in"
        constraints = [
            models.CheckConstraint(
                condition=Q(session_key__isnull=True) ^ Q(token_sign_in__isnull=True), name="sign_in_is_one_of_two"
            ),
        ]
        indexes = [models.Index("seen_at", name="sign_in_by_age")]

    def __str__(self) -> str:
        return f"sign-in {self.pk}"


class EndedSignIn(models.Model):
    """A sign-in by token that its user ended: `sign_in` is the claim that all of its tokens carry."""

    sign_in = models.UUIDField(primary_key=True)
    ended_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "ended sign-in"
        indexes = [models.Index("ended_at", name="ended_sign_in_by_age")]

    def __str__(self) -> str:
        return f"ended sign-in {self.pk}"
