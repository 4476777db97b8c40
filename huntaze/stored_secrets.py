"""Answers which stored secrets need a former SECRET_KEY, and encrypts them with the one of today.
Touches their ciphertext in accounts and second steps, and nothing else of a row."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pgtrigger
import structlog
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.db import models, transaction
from django.db.models.functions import Cast
from encrypted_fields.fields import EncryptedTextField

from onlyfans.models import Account

logger = structlog.get_logger(__name__)
# Rows of one transaction, which nobody else changes meanwhile: some milliseconds.
BATCH = 100
Row = Mapping[str, Any]


class Columns:
    """Encrypted columns of a model, as the database has them: the fields would hand out what is in them."""

    def __init__(self, model: Any, *, owner: str, columns: tuple[str, ...]) -> None:
        self.model, self.owner, self.columns = model, owner, columns

    def rows(self) -> models.QuerySet[Any, Any]:
        stored = {f"stored_{column}": Cast(column, models.TextField()) for column in self.columns}
        rows: models.QuerySet[Any, Any] = self.model.objects.values("pk", self.owner, **stored)
        return rows

    def secrets(self, row: Row) -> dict[str, str]:
        stored = {column: row[f"stored_{column}"] for column in self.columns}
        return {column: token for column, token in stored.items() if token is not None}

    def values(self, row: Row, anew: Mapping[str, str]) -> dict[str, Any]:
        return {column: models.Value(token, models.TextField()) for column, token in anew.items()}


class SecondSteps:
    """The secret of an app, and the seed of recovery codes or the codes themselves, in allauth's JSON."""

    model, owner = Authenticator, "user"

    def rows(self) -> models.QuerySet[Any, Any]:
        rows: models.QuerySet[Any, Any] = Authenticator.objects.values("pk", "user", "data")
        return rows

    def secrets(self, row: Row) -> dict[str, str]:
        codes = row["data"].get("migrated_codes", [])
        named = {name: row["data"][name] for name in ("secret", "seed") if name in row["data"]}
        return named | {f"code {number}": code for number, code in enumerate(codes)}

    def values(self, row: Row, anew: Mapping[str, str]) -> dict[str, Any]:
        data = {name: anew.get(name, value) for name, value in row["data"].items()}
        if "migrated_codes" in data:
            codes = enumerate(data["migrated_codes"])
            data["migrated_codes"] = [anew.get(f"code {number}", code) for number, code in codes]
        return {"data": data}


Holder = Columns | SecondSteps
HOLDERS: tuple[Holder, ...] = (
    Columns(Account, owner="creator", columns=("api_key", "webhook_secret", "webhook_secret_previous")),
    SecondSteps(),
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A secret that no key opens: `name` of what is in the row, and whose the row is."""

    table: str
    row_id: int
    owner: str
    owner_id: int
    name: str

    def __str__(self) -> str:
        return f"{self.table} {self.row_id} of {self.owner} {self.owner_id}: no key opens its {self.name}."


@dataclass(slots=True)
class Report:
    """How many secrets there are, and how many of them needed a former key."""

    secrets: int = 0
    former: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def stored_secrets_reencrypt(*, dry_run: bool, progress: Callable[[int, int], None] | None = None) -> Report:
    """Put each secret under the key of today; what is under it already stays as it is, so that it can be repeated.

    What no key opens is named in the report and left alone. progress: is told how many rows are done, and of how many.
    """
    first, *former = (Fernet(key) for key in EncryptedTextField().keys)
    keys = MultiFernet([first, *former])
    report = Report()
    total, done = sum(holder.rows().count() for holder in HOLDERS), 0
    for holder in HOLDERS:
        for count in _batches(holder, first, keys, report, dry_run=dry_run):
            done += count
            if progress:
                progress(done, max(total, done))
    if not dry_run:
        logger.warning(
            "stored secrets were encrypted anew",
            secrets=report.secrets,
            encrypted_anew=report.former,
            unreadable=len(report.unreadable),
        )
    return report


def _batches(holder: Holder, first: Fernet, keys: MultiFernet, report: Report, *, dry_run: bool) -> Iterator[int]:
    """Does them one after the other, and says how many rows each had."""
    last = 0
    while True:
        rows = holder.rows().filter(pk__gt=last).order_by("pk")
        with transaction.atomic():
            found = list((rows if dry_run else rows.select_for_update(no_key=True))[:BATCH])
            changed = [(row, anew) for row in found if (anew := _anew(holder, row, first, keys, report))]
            if not dry_run:
                # Nobody stored a key: owners would read so in the list of changes.
                with pgtrigger.ignore("onlyfans.Account:key_stored_update"):
                    for row, anew in changed:
                        holder.model.objects.filter(pk=row["pk"]).update(**holder.values(row, anew))
        if not found:
            return
        last = found[-1]["pk"]
        yield len(found)


def _anew(holder: Holder, row: Row, first: Fernet, keys: MultiFernet, report: Report) -> dict[str, str]:
    """Those of the row's secrets that the first key does not open, under it."""
    anew = {}
    for name, token in holder.secrets(row).items():
        report.secrets += 1
        try:
            first.decrypt(token.encode())
        except InvalidToken:
            try:
                anew[name] = keys.rotate(token.encode()).decode()
            except InvalidToken:
                table = holder.model._meta.label  # noqa: SLF001  Django's documented way
                report.unreadable.append(Unreadable(table, row["pk"], holder.owner, row[holder.owner], name))
    report.former += len(anew)
    return anew
