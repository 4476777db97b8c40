"""Answers what the analytics page was asked for. Touches nothing."""

from django import forms

from analytics.periods import Interval

FIGURES = [("net", "Net, yours"), ("gross", "Gross, what fans paid")]


class RevenueForm(forms.Form):
    """Which revenue to show; fields that are left out or empty mean the usual."""

    interval = forms.ChoiceField(choices=[(each.value, each.name.capitalize()) for each in Interval], required=False)
    figure = forms.ChoiceField(choices=FIGURES, required=False)
    begin = forms.DateField(required=False)
    end = forms.DateField(required=False)

    def add_prefix(self, field_name: str) -> str:
        """The addresses say `from` and `to`, as the API does."""
        return {"begin": "from", "end": "to"}.get(field_name, field_name)

    def clean_interval(self) -> Interval:
        return Interval(self.cleaned_data["interval"] or Interval.DAY)

    def clean_figure(self) -> str:
        return str(self.cleaned_data["figure"] or FIGURES[0][0])
