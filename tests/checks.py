"""`make check`'s Django part: system checks, missing migrations, templates that compile. Needs no running engine."""

from __future__ import annotations

import sys
from pathlib import Path

import tests.environment  # noqa: F401 - a data folder of its own, before settings are read


def main() -> int:
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spendops.settings")
    import django
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError
    from django.template import TemplateSyntaxError
    from django.template.loader import get_template

    django.setup()
    failures = []
    try:
        call_command("check", fail_level="WARNING")
    except SystemCheckError as error:
        failures.append(str(error))
    try:
        call_command("makemigrations", check=True, dry_run=True, verbosity=1)
    except SystemExit:
        failures.append("A model changed without its migration: run manage.py makemigrations.")
    folder = Path(django.conf.settings.BASE_DIR) / "templates"
    found = sorted(path.relative_to(folder) for path in folder.rglob("*.html"))
    for path in found:
        try:
            get_template(str(path))
        except TemplateSyntaxError as error:
            failures.append(f"templates/{path}: {error}")
    print(f"{len(found)} templates compile." if not failures else "\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
