"""`make tools`: the Debian packages that the tests need, installed when we are root; else the line that does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "chromium": ("chromium", "browser tests drive a real Chromium"),
    "postgresql": ("initdb", "races are tested on a real PostgreSQL"),
}


def missing() -> list[str]:
    """The packages whose programs are not on this machine."""
    absent = []
    for package, (program, _) in PROGRAMS.items():
        found = shutil.which(program) or list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        if not found:
            absent.append(package)
    return absent


def main() -> int:
    absent = missing()
    if not absent:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *absent]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(absent)} for the tests …", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
        subprocess.run([*install, "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
        absent = missing()
    for package in absent:
        print(f"{package} is missing ({PROGRAMS[package][1]}). Install it: sudo {' '.join(install)}", file=sys.stderr)
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
