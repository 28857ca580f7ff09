"""Running FOCUS's validators on a file."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.focus.install import PACKAGES

SECONDS = 300
RULES_LEAST = 200  # that a file must have passed
# what holds of us: with these, the validator also looks at the columns that not everybody has
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED,NEGOTIATED_PRICING_SUPPORTED,PUBLIC_PRICE_LIST_SUPPORTED,USAGE_MEASUREMENT_SUPPORTED,"
    "UNIT_PRICING_SUPPORTED,SUB_ACCOUNT_SUPPORTED,BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED,"
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED,TAGGING_SUPPORTED"
)
_TOTAL = re.compile(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+)", re.MULTILINE)


CONTRADICTORY = "InvoiceId-C-005-C"  # wants an invoice's id on every charge, and the rule before it on none


def official_failures(path: Path) -> list[str]:
    """What the official validator says of the rules of FOCUS 1.2 that a file breaks, but the contradictory one.

    It exits with 0 whatever it finds: so what counts is what it says, and it must have looked at many rules.
    """
    said = _run(
        "focus-validator",
        *("--block-download", "--validate-version", "1.2.0.1", "--focus-dataset", "CostAndUsage"),
        *("--data-file", str(path), "--applicability-criteria", CRITERIA, "--show-violations"),
    )
    total = _TOTAL.search(said)
    assert total is not None, said[-3000:]
    assert int(total[2]) > RULES_LEAST, said[:500]
    failed = [line for line in said.splitlines() if line.startswith("❌")]
    assert len(failed) == int(total[3]), said[:500]
    return [line for line in failed if f" {CONTRADICTORY}:" not in line]


def lint_1_4(path: Path) -> str:
    """What the lint says of a file of FOCUS 1.4."""
    return _run(
        "focus-toolkit", "validate", "--dataset", "cost-and-usage", "--supports", "SupportsUnitPricing", str(path)
    )


def _run(program: str, *arguments: str) -> str:
    command = [str(PACKAGES / "bin" / program), *arguments]
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    [beside] = PACKAGES.glob("lib/python*/site-packages")  # it looks for a list of currencies beside itself
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False, cwd=beside
    )
    return f"{done.stdout}\n{done.stderr}"
