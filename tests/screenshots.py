"""`python -m tests.screenshots FOLDER`: pictures of every page of the sidebar, of the ledger and of prices, light and
dark, 1440 and 390 px wide.

The pages show a seeded tenant; the walks are the browser tests' own, so that what is looked at is what is tested.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

WALKS = (
    "tests/spend/test_pages_browser.py::test_every_page_without_a_complaint",
    "tests/publishing/test_ledger_browser.py::test_every_page_without_a_complaint",
    "tests/pricing/test_overrides_browser.py::test_every_page_of_overrides_without_a_complaint",
    "tests/pricing/test_browser.py::test_every_page_without_a_complaint",
)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("Name the folder for the pictures: python -m tests.screenshots FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["SPENDOPS_TEST_SCREENSHOTS"] = str(folder)
    return int(pytest.main(["-q", *WALKS]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
