"""`manage.py work_off_exports`: write all files that wait, and end. The worker starts it in a process of its own."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand

from spend.exports.run import work_off_all

NICER = 10  # a file may wait, a page may not


class Command(BaseCommand):
    help = "Write all exported files that wait, one after the other, and end."

    def handle(self, *args: Any, **options: Any) -> None:
        os.nice(NICER)
        work_off_all()
