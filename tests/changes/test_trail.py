"""How the audit trail speaks: every kind has its sentence, names are looked up, values are written for people."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from changes.models import AuditEvent
from changes.trail import Naming, Noun, differences, known_kinds, register
from tests.test_repository import SOURCES

KIND = re.compile(r"[a-z_]+\.[a-z_]+")
RECORDERS = {
    "record",
    "Change",
    "_record",
    "record_key",
    "_record_block",
    "_move",
    "_changed",
    "_set_status",
    "use_passkey",
    "publish_book",
}


def recorded_kinds(path: Path) -> set[str]:
    """Kinds in calls that record: their first argument, or `kind=`, also where a condition chooses."""
    found = set()
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name not in RECORDERS:
            continue
        said = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "kind")]
        for value in (inner for each in said for inner in ast.walk(each)):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and KIND.fullmatch(value.value):
                found.add(value.value)
    return found


def told_by(kind: str, known: list[str]) -> bool:
    """Whether a kind has a sentence. One that ends with "_" goes on with a value: some such kind must have one."""
    return any(each.startswith(kind) for each in known) if kind.endswith("_") else kind in known


def test_every_kind_that_is_recorded_has_a_sentence():
    used = {kind: path for path in SOURCES for kind in recorded_kinds(path)}
    assert len(used) > 30
    untold = {kind: str(path) for kind, path in used.items() if not told_by(kind, known_kinds())}
    assert untold == {}, "write a sentence for each into its app's trail.py"


def test_no_sentence_is_left_without_its_kind():
    used = {kind for path in SOURCES for kind in recorded_kinds(path)}
    prefixes = tuple(kind for kind in used if kind.endswith("_"))
    assert {kind for kind in known_kinds() if not kind.startswith(prefixes)} - used == set()


def test_a_kind_has_one_sentence():
    with pytest.raises(ValueError, match=r"Registered twice: api_key\.issued"):
        register(nouns={}, sentences={"api_key.issued": "{actor} did it"})
    with pytest.raises(ValueError, match="Registered twice: user"):
        register(nouns={"user": Noun("Somebody")}, sentences={})


def event(kind: str = "x.y", **fields) -> AuditEvent:
    given = {"actor_kind": "system", "actor_id": "budgets.evaluator", "target_kind": "thing", "target_id": "t1"}
    return AuditEvent(kind=kind, **given | fields)


def told(found: AuditEvent) -> str:
    return "".join(part.text for part in Naming([found]).sentence(found))


def test_an_unknown_kind_is_told_by_its_name():
    assert told(event()) == "System (budgets.evaluator): x.y of t1"


def test_before_sign_in_nobody_is_named():
    assert told(event("user.signed_out", actor_kind="user", actor_id="")) == "Nobody signed out"


@pytest.mark.django_db
def test_what_is_gone_is_told_by_its_id():
    assert told(event("user.created", target_kind="user", target_id="u_gone")).endswith("added the person u_gone")
    assert told(event("project.renamed", before={"name": "a"}, after=None)).endswith("the project a to –")


def test_a_difference_shows_what_changed_first():
    changed = event(
        before={"name": "a", "limit": 1, "models": ["x", "y"], "hard": True},
        after={"name": "a", "limit": 2, "models": [], "note": {"b": None, "a": 1}},
    )
    rows = {each.label: each for each in differences(changed, Naming([]))}
    assert [*rows] == ["Limit", "Models", "Note", "Name", "Hard"]
    assert (rows["Limit"].before, rows["Limit"].after, rows["Limit"].changed) == ("1", "2", True)
    assert (rows["Models"].before, rows["Models"].after) == ("x, y", "–")
    assert rows["Note"].after == "a: 1, b: –"
    assert (rows["Hard"].before, rows["Hard"].after, rows["Hard"].changed) == ("yes", "", False)
