"""What linters cannot see: upward references by string, undocumented settings, locks that lag behind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["wire", "changes", "access", "tenants", "pricing", "spend", "budgets", "alerts", "publishing", "spendops"]
SOURCES = [
    path
    for folder in [*LAYERS, "gateway"]
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]


def test_foreign_keys_point_downward():
    for model in apps.get_models():
        here = model._meta.app_label
        if here not in LAYERS:
            continue
        for field in model._meta.get_fields():
            there = field.related_model._meta.app_label if field.is_relation and field.concrete else here
            if there in LAYERS:
                assert LAYERS.index(there) <= LAYERS.index(here), f"{model.__name__}.{field.name} points up to {there}"


def test_an_upward_import_breaks_the_contracts(tmp_path):
    for folder in [*LAYERS, "gateway"]:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.sql"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    clean = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert clean.returncode == 0, clean.stdout
    with (tmp_path / "tenants/rules.py").open("a") as module:
        module.write("\nimport budgets.rules\n")
    broken = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert broken.returncode == 1
    assert "tenants.rules -> budgets.rules" in broken.stdout


def test_no_model_is_looked_up_by_name():
    for path in SOURCES:
        assert "get_model(" not in path.read_text(), f"{path.relative_to(ROOT)} hides an import behind get_model()"


def test_every_setting_is_documented():
    documented = set(re.findall(r"`(SPENDOPS_[A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
    used = set()
    for path in SOURCES:
        used |= set(re.findall(r"""["'](SPENDOPS_[A-Z0-9_]*[A-Z0-9])["']""", path.read_text()))
    assert used - documented == set()


def test_every_declared_dependency_is_locked_and_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    groups = {
        "requirements.txt": project["dependencies"],
        "requirements-embedded.txt": project["optional-dependencies"]["embedded"],
        "requirements-dev.txt": project["optional-dependencies"]["dev"],
    }
    for file, declared in groups.items():
        locked = {name.lower() for name in re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / file).read_text(), re.MULTILINE)}
        for requirement in declared:
            name = re.split(r"[<>=\[; ]", requirement)[0].lower()
            assert name in locked, f"{name} is not in {file}: run make lock"
            line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
            assert "#" in line, f"pyproject.toml does not say what {name} is for"


def test_money_is_never_a_float():
    for path in SOURCES:
        found = re.findall(r"\bFloatField|\bDecimalField", path.read_text())
        assert not found, f"{path.relative_to(ROOT)} keeps a float or a DecimalField: {found}"
    for path in sorted((ROOT / "spend/clickhouse/migrations").glob("*.sql")):
        assert not re.search(r"\bFloat\d", path.read_text()), f"{path.name} has a column of floats"
