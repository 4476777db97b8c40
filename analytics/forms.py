"""Answers what the analytics pages were asked for. Touches nothing."""

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from analytics.fan_selectors import MONTHS
from analytics.periods import Interval
from analytics.sales_selectors import WITHIN_DAYS
from crm.known_names import not_a_choice

FIGURES = [("net", _("Net, yours")), ("gross", _("Gross, what fans paid"))]
INTERVAL_CHOICES = [
    (Interval.DAY.value, _("By day")),
    (Interval.WEEK.value, _("By week")),
    (Interval.MONTH.value, _("By month")),
]
MONTHS_CHOICES = [("6", _("6 months")), ("12", _("12 months")), ("24", _("24 months"))]
WITHIN_CHOICES = [("1", _("a day")), ("3", _("3 days")), ("7", _("7 days")), ("30", _("30 days"))]


class FigureForm(forms.Form):
    """Net or gross. Fields that are left out or empty mean the usual, here and below."""

    figure = forms.ChoiceField(choices=FIGURES, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.ChoiceField):
                names = [str(name).replace("%", "%%") for name, _ in cast("list[tuple[str, str]]", field.choices)]
                field.error_messages["invalid_choice"] = not_a_choice("%(value)s", names)

    def clean_figure(self) -> str:
        return str(self.cleaned_data["figure"] or FIGURES[0][0])

    def problem(self) -> str:
        """What is wrong with it in one line, by the names that the address has; empty where nothing is."""
        return " ".join(f"{self.add_prefix(name)}: {errors[0]}" for name, errors in self.errors.items())


class DaysForm(FigureForm):
    """From one day to another."""

    begin = forms.DateField(required=False)
    end = forms.DateField(required=False)

    def add_prefix(self, field_name: str) -> str:
        """The addresses say `from`, `to` and `withinDays`, as the API does."""
        return {"begin": "from", "end": "to", "within_days": "withinDays"}.get(field_name, field_name)


class RevenueForm(DaysForm):
    """Which revenue to show."""

    interval = forms.ChoiceField(choices=INTERVAL_CHOICES, required=False)

    def clean_interval(self) -> Interval:
        return Interval(self.cleaned_data["interval"] or Interval.DAY)


class FansForm(FigureForm):
    """How many months to look back."""

    months = forms.ChoiceField(choices=MONTHS_CHOICES, required=False)

    def clean_months(self) -> int:
        return int(self.cleaned_data["months"] or MONTHS)


class SalesForm(DaysForm):
    """Which days, and how soon after a campaign's message a purchase must come."""

    within_days = forms.ChoiceField(choices=WITHIN_CHOICES, required=False)

    def clean_within_days(self) -> int:
        return int(self.cleaned_data["within_days"] or WITHIN_DAYS)
