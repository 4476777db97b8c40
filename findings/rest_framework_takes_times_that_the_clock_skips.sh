#!/usr/bin/env bash
# REST framework takes 02:30 of the night in which the clock skips it, and gives 03:30 back; Django's form refuses it.
#
# Versions: djangorestframework 3.18.3, Django 5.2.19, Python 3.11.
#
# DateTimeField has a check against times that do not exist or come twice, with a message of its own, and it never fires:
# it compares a local time with the same time in UTC, and Python calls those two unequal for just these times, which the
# check takes for "not twice", so valid. A message to fans that is planned for 02:30 without an offset goes out an hour off
# or at one of two times, and what the API answers to the POST is not what it answers to the next GET.
#
# Output seen:
#   2026-03-29T02:30 (skipped): form refuses; API answers 2026-03-29T02:30:00+01:00, then 2026-03-29T03:30:00+02:00
#   2026-10-25T02:30 (twice): form refuses; API answers 2026-10-25T02:30:00+02:00, then 2026-10-25T02:30:00+02:00
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'djangorestframework==3.18.3' 'Django==5.2.19' 'tzdata==2026.6'
cat > probe.py <<'PY'
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TIME_ZONE="Europe/Paris",
    USE_TZ=True,
)
django.setup()

from django import forms
from django.db import connection, models
from rest_framework import serializers


class Message(models.Model):
    at = models.DateTimeField()

    class Meta:
        app_label = "rest_framework"  # any app that is installed


class MessageForm(forms.ModelForm):
    class Meta:
        model = Message
        fields = ["at"]


class MessageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Message
        fields = ["at"]


with connection.schema_editor() as editor:
    editor.create_model(Message)
for given, why in (("2026-03-29T02:30", "skipped"), ("2026-10-25T02:30", "twice")):
    form = "takes" if MessageForm({"at": given}).is_valid() else "refuses"
    serializer = MessageSerializer(data={"at": given})
    serializer.is_valid(raise_exception=True)
    message = serializer.save()
    then = MessageSerializer(Message.objects.get(pk=message.pk)).data["at"]
    print(f"{given} ({why}): form {form}; API answers {serializer.data['at']}, then {then}")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
2026-03-29T02:30 (skipped): form refuses; API answers 2026-03-29T02:30:00+01:00, then 2026-03-29T03:30:00+02:00
2026-10-25T02:30 (twice): form refuses; API answers 2026-10-25T02:30:00+02:00, then 2026-10-25T02:30:00+02:00
EOF
