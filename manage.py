#!/usr/bin/env python
"""Answers the command line of developers and operators. Touches the settings' name in the environment."""

import gc
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    from django.core.management import execute_from_command_line

    from crm.acting import acting

    try:
        with acting(lambda: {"door": "command", "command": sys.argv[1]}):
            execute_from_command_line(sys.argv)
    finally:
        # The interpreter would look through all that was loaded before it ends, which takes 0.7 s of CPU.
        gc.freeze()


if __name__ == "__main__":
    main()
