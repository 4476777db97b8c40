"""Answers a server that has loaded the product before it may begin. Touches one file, by looking whether it is there.

Loading takes longer than anything else at the start and needs no service, so it is done while tables are made. Then
it may begin: it tries the queue at once, and nobody must meet a page without its table.
"""

import importlib
import os
import runpy
import sys
import time
from pathlib import Path

import django
from django.conf import settings


def main(arguments: list[str]) -> None:
    """FILE MODULE WORDS…: `python -m MODULE WORDS…` as soon as there is such a file."""
    file, module, *words = arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    django.setup()
    importlib.import_module(settings.ROOT_URLCONF)
    while not Path(file).exists():
        time.sleep(0.02)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
