"""Install FOCUS's validators into a virtual environment of their own: they need other versions of packages than we."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.txt"
PACKAGES = Path(sys.prefix) / "focus"
PYTHON = PACKAGES / "bin" / "python"
# The validator says that it needs Python 3.12, for the sake of one quotation mark: an f-string may hold no backslash in
# 3.11. Nothing else of it does.
PATCHED = Path("focus_validator") / "config_objects" / "focus_to_duckdb_converter.py"
WRONG = """f"'{k.replace('\\"', '\\"\\"')}'\""""
RIGHT = """"'" + k.replace('"', '""') + "'\""""


def focus_validators() -> bool:
    """Install them where they are absent or of other versions than the lock names. Returns whether they are there."""
    installed = PACKAGES / "installed.sha256"
    digest = hashlib.sha256(LOCK.read_bytes() + RIGHT.encode()).hexdigest()
    if installed.is_file() and installed.read_text() == digest:
        return True
    print("Installing FOCUS's validators for the tests (the first time only) …", flush=True)
    installed.unlink(missing_ok=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(PACKAGES)],
        [*pip, "--require-hashes", "--ignore-requires-python", "-r", str(LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"FOCUS's validators could not be installed:\n{done.stderr.strip()[-2000:]}", file=sys.stderr)
            return False
    [patched] = PACKAGES.glob(f"lib/python*/site-packages/{PATCHED}")
    text = patched.read_text(encoding="utf-8")
    if text.count(WRONG) != 1:
        print(f"{PATCHED} is not what it was: look at it and at {Path(__file__).name}.", file=sys.stderr)
        return False
    patched.write_text(text.replace(WRONG, RIGHT), encoding="utf-8")
    installed.write_text(digest)
    return True
