#!/usr/bin/env python
"""Django's command line. A setting that cannot be used ends it with one sentence."""

import os
import sys

from wire.env import SettingError


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spendops.settings")
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        print(f"spendops: {error}", file=sys.stderr)
        return 2
    except DatabaseError as error:
        print(f"spendops: The database cannot be used ({str(error).splitlines()[0]}).", file=sys.stderr)
        print(
            "Run `manage.py migrate` first, or name the right SPENDOPS_DATA or SPENDOPS_DATABASE_URL.", file=sys.stderr
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
