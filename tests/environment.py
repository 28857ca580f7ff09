"""Loaded before Django's settings (`-p tests.environment`): tests never touch a real installation's data or ports."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

for name in [name for name in os.environ if name.startswith("SPENDOPS_") and not name.startswith("SPENDOPS_TEST_")]:
    del os.environ[name]

os.environ["SPENDOPS_DATA"] = tempfile.mkdtemp(prefix="spendops-test-")
atexit.register(shutil.rmtree, os.environ["SPENDOPS_DATA"], ignore_errors=True)
os.environ["SPENDOPS_LOG_LEVEL"] = "error"
os.environ["SPENDOPS_RATES_URL"] = "off"
if os.environ.get("SPENDOPS_TEST_DATABASE_URL"):
    os.environ["SPENDOPS_DATABASE_URL"] = os.environ["SPENDOPS_TEST_DATABASE_URL"]
