"""C15: production refuses to start with an insecure setting and says why; secure ones leave nothing to be improved."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"


def manage(tmp_path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` in a process of its own, under production's settings but for what is changed ("" removes one)."""
    ours = ("SPENDOPS_", "DJANGO_")  # of this run, such as what the tests in Chromium need
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "SPENDOPS_DATA": str(tmp_path),
        "SPENDOPS_MODE": "production",
        "SPENDOPS_PUBLIC_URL": "https://spend.example.com",
        "SPENDOPS_DATABASE_URL": "postgresql://spendops@127.0.0.1:1/spendops",
        "SPENDOPS_SECRET_KEY": SECRET,
        **{name: SECRET + name for name in ("SPENDOPS_KEY_PEPPER", "SPENDOPS_ENVELOPE_KEY", "SPENDOPS_AUDIT_KEY")},
    }
    environment = {name: value for name, value in (environment | changed).items() if value}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_c15_nothing_is_to_be_improved_under_production_s_settings(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_c15_an_insecure_setting_would_have_been_told(tmp_path):
    """The check above says something when there is something to say."""
    done = manage(
        tmp_path,
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        SPENDOPS_MODE="",
        SPENDOPS_PUBLIC_URL="http://localhost",
    )
    assert done.returncode == 1
    assert "security.W" in done.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SPENDOPS_DEBUG": "true"}, "SPENDOPS_DEBUG"),
        ({"SPENDOPS_PUBLIC_URL": "http://spend.example.com"}, "https"),
        ({"SPENDOPS_PUBLIC_URL": ""}, "https"),
        ({"SPENDOPS_SECRET_KEY": ""}, "SPENDOPS_SECRET_KEY"),
        ({"SPENDOPS_SECRET_KEY": "k3y-of-17-letters"}, "SPENDOPS_SECRET_KEY"),
        ({"SPENDOPS_SECRET_KEY": "django-insecure-" + SECRET}, "SPENDOPS_SECRET_KEY"),
        ({"SPENDOPS_SECRET_KEY": "a" * 60}, "SPENDOPS_SECRET_KEY"),
        ({"SPENDOPS_KEY_PEPPER": ""}, "SPENDOPS_KEY_PEPPER"),
        ({"SPENDOPS_ENVELOPE_KEY": "k3y-of-17-letters"}, "SPENDOPS_ENVELOPE_KEY"),
    ],
)
def test_c15_production_refuses_to_start_and_says_why(tmp_path, changed, said):
    done = manage(tmp_path, "check", **changed)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    value = changed.get("SPENDOPS_SECRET_KEY")
    assert not value or value not in done.stderr, "a secret is not repeated"


@pytest.mark.parametrize("token", ["short-and-guessable", "a" * 60, "with a space " + SECRET, "ü" + SECRET])
def test_a_weak_token_of_the_state_service_is_refused_in_production(tmp_path, token):
    done = manage(tmp_path, "check", STATE_SERVICE_SHARED_TOKEN=token)
    assert done.returncode != 0
    assert "STATE_SERVICE_SHARED_TOKEN" in done.stderr
    assert (token in done.stderr, len(done.stderr.strip().splitlines())) == (False, 1)


def test_the_token_of_the_state_service_may_stand_in_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")
    ask = "from django.conf import settings; print(len(settings.STATE_SERVICE_SHARED_TOKEN))"
    done = manage(tmp_path, "shell", "-c", ask, STATE_SERVICE_SHARED_TOKEN_FILE=str(file))
    assert done.stdout.splitlines()[-1] == str(len(SECRET)), done.stderr
