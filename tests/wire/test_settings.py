"""Settings of both planes: a value that cannot be used stops the start with one sentence."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wire.config import Config, local_secret
from wire.env import Env, SettingError


@pytest.mark.parametrize(
    ("read", "values", "says"),
    [
        (
            lambda env: env.flag("X", default=True),
            {"X": "maybe"},
            "X='maybe' is not yes or no: write X=true or X=false.",
        ),
        (
            lambda env: env.number("X", 1, least=1, most=9),
            {"X": "0"},
            "X='0' cannot be used: write a whole number from 1",
        ),
        (lambda env: env.number("X", 1), {"X": "1.5"}, "X='1.5' cannot be used"),
        (lambda env: env.port("X", 1), {"X": "65536"}, "from 1 to 65535"),
        (lambda env: env.choice("X", "a", {"a", "b"}), {"X": "c"}, "X='c' is not known: choose one of a, b."),
        (lambda env: env.secret("X"), {"X_FILE": "/nowhere/at/all"}, "X_FILE='/nowhere/at/all' cannot be read"),
        (lambda env: env.secret("X"), {"X_FILE": "/etc/hostname", "X": "1"}, "X and X_FILE are both set"),
    ],
)
def test_a_bad_value_is_named(read, values, says):
    with pytest.raises(SettingError) as error:
        read(Env(values))
    assert says in str(error.value)


def test_values_as_people_write_them(tmp_path):
    (tmp_path / "secret").write_text("  from a file\n")
    env = Env({"A": " Yes ", "B": "off", "C": "", "D": " dev, prod ,", "E": "7", "F_FILE": str(tmp_path / "secret")})
    assert env.flag("A", default=False) is True
    assert env.flag("B", default=True) is False
    assert env.flag("C", default=True) is True  # empty is unset
    assert env.words("D", "x") == ("dev", "prod")
    assert env.number("E", 1) == 7
    assert env.secret("F") == "from a file"
    assert env.path("G", "~").is_absolute()


def test_environments_are_isolated_folders(tmp_path):
    config = Config.load(Env({"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_ENVIRONMENTS": "dev,prod"}))
    dev, prod = config.open_kv("dev"), config.open_kv("prod")
    dev.add("missing:openai:x", b"{}")
    assert prod.get("missing:openai:x") is None
    dev.close()
    prod.close()
    with pytest.raises(SettingError, match="no environment 'qa'"):
        config.open_queue("usage-events", "qa")


@pytest.mark.parametrize("names", ["Dev", "d", "dev,pro-d", "../x"])
def test_an_environments_name_is_checked(tmp_path, names):
    with pytest.raises(SettingError, match="lower-case letters"):
        Config.load(Env({"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_ENVIRONMENTS": names}))


def test_a_data_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="SPENDOPS_DATA="):
        Config.load(Env({"SPENDOPS_DATA": str(tmp_path / "file" / "data")}))


def test_a_secret_is_made_once_and_is_private(tmp_path):
    first = local_secret(Env({}), "SPENDOPS_KEY_PEPPER", tmp_path, production=False)
    assert local_secret(Env({}), "SPENDOPS_KEY_PEPPER", tmp_path, production=False) == first
    (path,) = (tmp_path / "secrets").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) >= 32


def test_production_makes_no_secrets(tmp_path):
    with pytest.raises(SettingError, match="SPENDOPS_KEY_PEPPER_FILE"):
        local_secret(Env({}), "SPENDOPS_KEY_PEPPER", tmp_path, production=True)
    with pytest.raises(SettingError, match="too short"):
        local_secret(Env({"SPENDOPS_KEY_PEPPER": "short"}), "SPENDOPS_KEY_PEPPER", tmp_path, production=True)


def test_of_processes_that_start_at_once_all_have_the_same_secret(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom wire.config import local_secret\nfrom wire.env import Env\n"
        "print(local_secret(Env({}), 'SPENDOPS_KEY_PEPPER', Path(sys.argv[1]), production=False))"
    )
    root = Path(__file__).resolve().parents[2]
    env = {"PATH": os.environ["PATH"]}
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=root, env=env, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    secrets = {process.communicate(timeout=60)[0] for process in started}
    assert len(secrets) == 1
    assert len(secrets.pop().strip()) >= 32


def peppers(folder: Path, **values: str) -> dict[int, bytes]:
    return Config.load(Env({"SPENDOPS_DATA": str(folder), **values})).peppers


def test_c11_peppers_are_numbered_and_the_newest_is_for_new_keys(tmp_path):
    made = peppers(tmp_path)
    assert list(made) == [1]
    later = peppers(tmp_path, SPENDOPS_KEY_PEPPER_V2="b" * 32, SPENDOPS_KEY_PEPPER_V5="e" * 32)
    assert later == made | {2: b"b" * 32, 5: b"e" * 32}
    config = Config.load(Env({"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_KEY_PEPPER_V2": "b" * 32}))
    assert (config.pepper_version, config.pepper) == (2, b"b" * 32)
    assert "bbbb" not in repr(config)
    with pytest.raises(SettingError, match="SPENDOPS_KEY_PEPPER_V2 is too short"):
        peppers(tmp_path, SPENDOPS_KEY_PEPPER_V2="short")


def test_c11_in_production_the_first_pepper_may_go_once_there_is_a_newer_one(tmp_path):
    production = {"SPENDOPS_MODE": "production"}
    with pytest.raises(SettingError, match="SPENDOPS_KEY_PEPPER_FILE"):
        peppers(tmp_path, **production)
    old, new = "abcdefgh" * 4, "ijklmnop" * 4
    assert peppers(tmp_path, **production, SPENDOPS_KEY_PEPPER_V2=new) == {2: new.encode()}
    both = peppers(tmp_path, **production, SPENDOPS_KEY_PEPPER=old, SPENDOPS_KEY_PEPPER_V2=new)
    assert both == {1: old.encode(), 2: new.encode()}
