"""The rows of a file of transactions as typed money, and what is wrong with the others. Touches no table.

A transaction has a time and at least two of gross, fee and net, of which the third follows. A fee may be written as
what was taken off, or in percent. Rows with a negative gross take a payment back. Payouts are no payments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from crm.stored_words import kept_sentence
from onlyfans import csv_columns, csv_headers, event_payloads, payloads
from onlyfans import csv_values as values
from onlyfans.csv_currencies import currency_meant
from onlyfans.earnings_payloads import AMOUNTS
from onlyfans.payloads import Problem, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

# The readers of csv_columns that these fields share with a file of fans.
READ_AS = {
    "transaction_id": "transaction_id",
    "occurred_at": "last_seen_at",
    "gross_cents": "money",
    "fee_cents": "money",
    "net_cents": "money",
    "vat_cents": "money",
    "fan_id": "platform_id",
    "handle": "handle",
    "fan_name": "name",
}
ID_MAX = 64
ID_TOO_LONG = kept_sentence("A transaction's id has at most %(most)s characters.")
NO_DAY = kept_sentence("The row does not say when it was paid.")
NO_STATUS = kept_sentence("This is no status that is known: done, loading, undo or pending_return.")
NO_CURRENCY = kept_sentence("This is no currency: three letters, such as USD.")
CURRENCIES_DIFFER = kept_sentence("The cells of this row say different currencies, or one that several countries have.")
TWO_AMOUNTS = kept_sentence("The row needs two of gross, fee and net.")
ABOVE_GROSS = kept_sentence("The net amount is above the gross amount, or the fee is.")
PARTS_OF_CENTS = kept_sentence("An amount has whole cents: at most two decimals.")
PERCENT_DIFFERS = kept_sentence("This percentage of the gross amount is not what lies between gross and net.")
VAT_PERCENT = kept_sentence("A tax in percent is no amount; leave the column out, or have it filled with amounts.")
STATUSES = {
    "done": "done completed complete paid cleared settled succeeded success",
    "loading": "loading pending processing",
    "undo": "undo undone refunded refund reversed chargeback chargedback cancelled canceled",
    "pending_return": "pendingreturn pendingrefund disputed",
}
STATUS_OF = {word: status for status, words in STATUSES.items() for word in words.split()}
# How the platform begins a description, with the fan's name behind it.
PAID_BY = re.compile(
    r"(?:payment for message|(?:recurring )?subscription|tip|post purchase|stream purchase) (?:from|by) (.+)", re.I
)
# Money that goes from the platform to the creator, or away, in the words of platforms and banks.
PAYOUT = re.compile(
    r"\b(?:pay ?-?outs?|withdraw(?:al|n)?s?|bank transfers?|transfers? to (?:your )?bank|cash ?-?outs?|"
    r"versements?|virements?|retraits?|auszahlung(?:en)?|überweisung(?:en)?|retiros?|transferencias?)\b",
    re.IGNORECASE,
)
# A time in the cell of a date.
TIMED = r"(?i)[0-9] ?(?::|h)|[0-9] ?[ap]\.?m\b"


class Earning(NamedTuple):
    """One transaction as the file tells of it; amounts in cents. `day_only`: the file has no time of the day.

    `takes_back`: the amounts were negative, so that the row is about an earlier payment.
    """

    transaction_id: str
    occurred_at: datetime
    kind: str
    status: str
    gross_cents: int
    fee_cents: int
    net_cents: int
    vat_cents: int
    currency: str
    fan_id: str
    handle: str
    fan_name: str
    day_only: bool
    takes_back: bool


@dataclass(frozen=True, slots=True)
class EarningValues:
    """The rows that are right and the problems of the others, both by their position in the table that was read.

    Rows of other creators and of payouts are in neither.
    """

    earnings: dict[int, Earning]
    problems: dict[int, list[Problem]]
    of_others: int = 0
    payouts: tuple[int, ...] = ()


def earning_values(*, cells: pd.DataFrame, ragged: Mapping[int, Sequence[str]], reading: Reading) -> EarningValues:
    """Type every cell of the mapped columns; a row with any problem is no earning, and all its problems are told."""
    return _Rows(cells, ragged, reading).values()


class _Rows:
    """The rows of one chunk while they are being typed."""

    def __init__(self, cells: pd.DataFrame, ragged: Mapping[int, Sequence[str]], reading: Reading) -> None:
        self.reading, self.columns, self.count = reading, reading.columns, len(cells)
        self.cells = cells
        self.mapping = reading.columns.mapping()
        self.ragged = ragged
        width = len(reading.columns.header)
        self.problems: dict[int, list[Problem]] = {
            position: [Problem("", "", values.WRONG_WIDTH % {"cells": len(row), "width": width})]
            for position, row in ragged.items()
        }
        self.texts = {name: cells[at] for name, at in self.columns.positions.items()}

    def values(self) -> EarningValues:
        ours = payloads.of_this_creator(self.cells, self.reading)
        payouts = self._payouts()
        self._join_times()
        self._compute_percentages()
        typed = {name: self._typed(name) for name in READ_AS if name in self.texts}
        gross, fee, net, vat, takes_back = self._amounts(typed)
        kinds, statuses = self._kinds(), self._statuses()
        currencies = self._currencies()
        texts = {
            name: typed[name].fillna("").tolist() if name in typed else [""] * self.count
            for name in ("transaction_id", "fan_id", "handle", "fan_name")
        }
        self._long_ids(texts["transaction_id"])
        names = self._names(texts["fan_name"])
        when = typed["occurred_at"]
        for position in when.isna().to_numpy(dtype=bool).nonzero()[0].tolist():
            self._refuse(position, "occurred_at", NO_DAY)
        day_only = self._day_only()
        moments = when.tolist()
        left_out = set(payouts) | (set((~ours).nonzero()[0].tolist()) if ours is not None else set())
        rows = zip(
            texts["transaction_id"], moments, kinds, statuses, gross, fee, net, vat, currencies, texts["fan_id"],
            texts["handle"], names, day_only, takes_back, strict=True,
        )  # fmt: skip
        earnings = {
            position: Earning(row[0], row[1].to_pydatetime(), *row[2:])
            for position, row in enumerate(rows)
            if position not in self.problems and position not in left_out
        }
        return EarningValues(
            earnings,
            {position: wrong for position, wrong in sorted(self.problems.items()) if position not in left_out},
            of_others=int((~ours).sum()) if ours is not None else 0,
            payouts=tuple(payouts),
        )

    def _refuse(self, position: int, name: str, error: str) -> None:
        """Say what is wrong with a cell, or with the row where `name` is empty; one problem for each cell."""
        header = self.mapping.get(name, "")
        wrong = self.problems.get(position, [])
        if position in self.ragged or any(problem.column == header for problem in wrong) or (wrong and not name):
            return
        shown = str(self.texts[name].iloc[position])[: values.SHOWN_MAX] if name in self.texts else ""
        self.problems.setdefault(position, []).append(Problem(header, shown, error))

    def _typed(self, name: str) -> pd.Series:
        parsed = csv_columns.parse(name, self.texts[name], self.reading.manner, read_as=READ_AS[name])
        for position, error in parsed.errors:
            self._refuse(position, name, error)
        return parsed.values

    def _payouts(self) -> list[int]:
        """The rows that tell of payouts."""

        payouts: list[int] = []
        for name in ("kind", "description"):
            if name in self.texts:
                texts = self.texts[name]
                said = [
                    text
                    for text in texts.unique()
                    if PAYOUT.search(text) and (name == "kind" or not PAID_BY.match(text))
                ]
                payouts += texts.isin(said).to_numpy(dtype=bool).nonzero()[0].tolist() if said else []
        return sorted(set(payouts))

    def _join_times(self) -> None:
        """A date, a time and a zone of three columns as one text."""
        import pandas as pd

        if "time_of_day" not in self.texts and "time_zone" not in self.texts:
            return
        days = self.texts["occurred_at"]
        nothing = pd.Series([""] * self.count)
        times, zones = (self.texts.get(name, nothing).fillna("") for name in ("time_of_day", "time_zone"))
        joined = []
        for day, time, zone in zip(days.tolist(), times.tolist(), zones.tolist(), strict=True):
            timed = re.search(TIMED, day)
            # A date cell beside a time cell may have the beginning of the day in it.
            text = day if not day or timed or not time else f"{day} {time}"
            joined.append(f"{text} {zone}" if zone and text and re.search(TIMED, text) else text)
        self.texts["occurred_at"] = pd.Series(joined, dtype="string[pyarrow]")

    def _day_only(self) -> list[bool]:
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = pa.array(self.texts["occurred_at"], pa.string())
        if pc.all(pc.greater(pc.utf8_length(cells), 13)).as_py():
            return [False] * self.count
        found: list[bool] = pc.invert(pc.match_substring_regex(cells, TIMED)).to_pylist()
        return found

    def _compute_percentages(self) -> None:
        """A fee in percent becomes one in money, where gross says of what; a tax in percent may be of anything."""
        for name, error in (("vat_cents", VAT_PERCENT), ("fee_cents", "")):
            if name not in self.texts:
                continue
            percent = self.texts[name].str.endswith("%").fillna(False).to_numpy(dtype=bool)
            if not percent.any():
                continue
            texts = self.texts[name].tolist()
            for position in percent.nonzero()[0].tolist():
                if error:
                    self._refuse(position, name, error)
                    texts[position] = ""
                    continue
                texts[position] = self._fee_of(position, texts[position]) or texts[position]
            import pandas as pd

            shown = self.texts[name]
            self.texts[name] = pd.Series(texts, dtype="string[pyarrow]", index=shown.index)

    def _fee_of(self, position: int, percentage: str) -> str:
        """The fee of a row as text; empty where it cannot be known."""
        mark = self.reading.decimal_mark
        in_cents = "gross_cents" in self.reading.manner.in_cents
        try:
            rate = Decimal(values.number_exact(percentage.rstrip("% \u00a0\u202f").replace(",", "."), "."))
            gross = values.money_cents(
                self.texts["gross_cents"].iloc[position], decimal_mark=mark, negative=True, parts=1 if in_cents else 100
            )
        except (KeyError, InvalidOperation, values.WrongError):
            return ""
        if gross is None or not 0 <= rate <= 100:
            return ""
        fee = int((gross * rate / 100).quantize(Decimal(1), ROUND_HALF_UP))
        if "net_cents" in self.texts:
            try:
                net = values.money_cents(
                    self.texts["net_cents"].iloc[position], decimal_mark=mark, negative=True,
                    parts=1 if in_cents else 100,
                )  # fmt: skip
            except values.WrongError:
                net = None
            if net is not None and abs(gross - net - fee) > 1:
                self._refuse(position, "fee_cents", PERCENT_DIFFERS)
            elif net is not None:
                fee = gross - net
        if "fee_cents" in self.reading.manner.in_cents:
            return str(abs(fee))
        return f"{abs(fee) // 100}{mark}{abs(fee) % 100:02}"

    def _amounts(self, typed: Mapping[str, pd.Series]) -> tuple[list[int], list[int], list[int], list[int], list[bool]]:
        """Gross, fee, net and tax in cents, none negative, and which rows take a payment back."""
        import numpy as np

        known, amounts = {}, {}
        for name in (*AMOUNTS, "vat_cents"):
            column = typed.get(name)
            if column is None:
                known[name], amounts[name] = np.zeros(self.count, bool), np.zeros(self.count, np.int64)
            else:
                known[name] = column.notna().to_numpy(dtype=bool)
                amounts[name] = column.fillna(0).to_numpy(dtype=np.int64)
        has_gross, has_fee, has_net = (known[name] for name in AMOUNTS)
        gross, fee, net = (amounts[name] for name in AMOUNTS)
        for position in (has_gross.astype(int) + has_fee + has_net < 2).nonzero()[0].tolist():
            self._refuse(position, "", TWO_AMOUNTS)
        takes_back = np.where(has_gross, gross, net) < 0
        sign = np.where(takes_back, -1, 1)
        # What was taken off may be written as less than nothing; of a payment that is taken back it comes back.
        fee, vat = np.abs(fee), np.abs(amounts["vat_cents"])
        gross, net = gross * sign, net * sign
        gross = np.where(has_gross, gross, fee + net)
        net = np.where(has_net, net, gross - fee)
        split = (fee % 100 != 0) | (net % 100 != 0)
        # Parts of a cent are the fee's and the net's, who divide a gross of whole cents between them.
        adds_up = ~has_fee | (np.abs(gross - fee - net) < 1)
        for position in ((gross % 100 != 0) | (vat % 100 != 0) | (split & ~adds_up)).nonzero()[0].tolist():
            odd = next((name for name in (*AMOUNTS, "vat_cents") if amounts[name][position] % 100), "")
            self._refuse(position, odd, PARTS_OF_CENTS)
        gross_cents, vat_cents = gross // 100, vat // 100
        net_cents = np.where(split, (net + 50) // 100, net // 100)
        fee_cents = np.where(split | ~has_fee, gross_cents - net_cents, fee // 100)
        for position in ((net_cents < 0) | (net_cents > gross_cents)).nonzero()[0].tolist():
            self._refuse(position, "net_cents" if "net_cents" in self.mapping else "", ABOVE_GROSS)
        return gross_cents.tolist(), fee_cents.tolist(), net_cents.tolist(), vat_cents.tolist(), takes_back.tolist()

    def _mapped(self, name: str, meant: Callable[[str], object | None]) -> list[object | None]:
        """What each text of a column means; each distinct one is read once."""
        import pandas as pd

        codes, distinct = pd.factorize(self.texts[name])
        found = [meant(str(text)) for text in distinct]
        return [found[code] for code in codes.tolist()]

    def _statuses(self) -> list[object | None]:
        if "status" not in self.texts:
            return ["done"] * self.count
        found = self._mapped("status", lambda text: STATUS_OF.get(csv_headers.header_key(text) or "done"))
        for position in (position for position, status in enumerate(found) if status is None):
            self._refuse(position, "status", NO_STATUS)
        return found

    def _kinds(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.compute as pc

        types = self.texts["kind"].tolist() if "kind" in self.texts else [""] * self.count
        if "description" not in self.texts:
            return [_kind_of(type_, "") for type_ in types]
        # Without the fan's name, so that there are few of them.
        cells = pa.array(self.texts["description"], pa.string())
        described = pc.replace_substring_regex(cells, "(?is) (?:from|by) .*$", "").to_pylist()
        return [_kind_of(type_, text) for type_, text in zip(types, described, strict=True)]

    def _currencies(self) -> list[str]:
        """The currency of each row: what its column, the amounts' signs and their headers agree on, else dollars."""
        import pandas as pd
        import pyarrow as pa

        parts: list[Iterable[str]] = []
        named = [name for name in (*AMOUNTS, "vat_cents") if name in self.texts]
        for name in named:
            series = self.texts[name]
            if csv_columns.currencies_beside(series):
                parts.append(csv_columns.amount_tokens(pa.array(series, pa.string())).to_pylist())
        headers = {csv_headers.header_currencies(self.mapping[name]) for name in named} - {()}
        if "currency" in self.texts:
            parts.append(self.texts["currency"].tolist())
        if not parts:
            code = _agreed([], headers)
            found, codes = [code], [0] * self.count
        else:
            keys, distinct = pd.factorize(pd.Series(list(zip(*parts, strict=True)), dtype=object))
            found = [_agreed(list(each), headers) for each in distinct]
            codes = keys.tolist()
        answers = [found[code] for code in codes]
        unsettled = (position for position, code in enumerate(answers) if code is None)
        for position in (position for position in unsettled if position not in self.problems):
            name = "currency" if "currency" in self.texts else named[0]
            told = self.texts["currency"].iloc[position] if "currency" in self.texts else ""
            self._refuse(position, name, NO_CURRENCY if told and not currency_meant(told) else CURRENCIES_DIFFER)
        return [code or "" for code in answers]

    def _names(self, names: list[str]) -> list[str]:
        if "description" not in self.texts or all(names):
            return names
        described = self.texts["description"].tolist()
        found = []
        for name, text in zip(names, described, strict=True):
            payer = None if name else PAID_BY.match(text)
            found.append(payer[1].strip()[: values.NAME_MAX] if payer else name)
        return found

    def _long_ids(self, ids: list[str]) -> None:
        for position in (position for position, each in enumerate(ids) if len(each) > ID_MAX):
            self._refuse(position, "transaction_id", ID_TOO_LONG % {"most": ID_MAX})


@lru_cache(maxsize=10_000)
def _kind_of(type_: str, description: str) -> str:
    return event_payloads.kind_of(type_, description)


def _agreed(said: list[str], headers: Iterable[tuple[str, ...]]) -> str | None:
    """The one currency that all agree on; dollars where nobody says anything else; None where they differ."""
    left: set[str] | None = None
    told = [text for text in said if text.strip() and text.lower() not in values.EMPTY_WORDS]
    for meant in [*(currency_meant(text) for text in told), *headers]:
        left = set(meant) if left is None else left & set(meant)
    if left is None or "USD" in left:
        return "USD"
    return left.pop() if len(left) == 1 else None
