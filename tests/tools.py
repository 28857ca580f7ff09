"""`make tools`: what the tests need beside Python's packages.

Debian's packages are installed when we are root, else the line that does it is said. Cloudflare's runtime comes from
npm into the virtual environment, at the versions that tests/cloudflare/package-lock.json names; FOCUS's validators from
PyPI into a virtual environment of their own, at the versions and hashes of tests/focus/requirements.txt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.focus.install import focus_validators

PROGRAMS = {
    "chromium": ("chromium", "browser tests drive a real Chromium"),
    "postgresql": ("initdb", "races are tested on a real PostgreSQL"),
    # Debian starts it as a service on port 6379; the tests start their own on free ports and never touch that one
    "redis-server": ("redis-server", "the Redis store is tested on a real Redis"),
    "nodejs": ("node", "the Cloudflare store is tested on Cloudflare's own runtime"),
    "npm": ("npm", "Cloudflare's runtime comes through it"),
}


HERE = Path(__file__).resolve().parent
CLOUDFLARE = Path(sys.prefix) / "cloudflare"
NODE_OLDEST = 20


def missing() -> list[str]:
    """The packages whose programs are not on this machine."""
    absent = []
    for package, (program, _) in PROGRAMS.items():
        found = shutil.which(program) or list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        if not found:
            absent.append(package)
    return absent


def main() -> int:
    return 0 if debian_packages() and cloudflare_runtime() and focus_validators() else 1


def debian_packages() -> bool:
    """Install what is missing when we are root, else say how. Returns whether all is there."""
    absent = missing()
    if not absent:
        return True
    install = ["apt-get", "install", "-y", "--no-install-recommends", *absent]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(absent)} for the tests …", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
        subprocess.run([*install, "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
        absent = missing()
    for package in absent:
        print(f"{package} is missing ({PROGRAMS[package][1]}). Install it: sudo {' '.join(install)}", file=sys.stderr)
    return not absent


def cloudflare_runtime() -> bool:
    """Install Cloudflare's runtime where it is absent or of other versions than the lock names."""
    lock = (HERE / "cloudflare" / "package-lock.json").read_bytes()
    installed = CLOUDFLARE / "installed.sha256"
    digest = hashlib.sha256(lock).hexdigest()
    if installed.is_file() and installed.read_text() == digest:
        return True
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = version.lstrip("v").partition(".")[0]
    if not major.isdigit() or int(major) < NODE_OLDEST:
        print(
            f"Cloudflare's runtime needs Node {NODE_OLDEST} or newer; `node` here is {version or 'broken'}. Install a "
            "newer one from https://nodejs.org and run make tools again.",
            file=sys.stderr,
        )
        return False
    print("Installing Cloudflare's runtime for the tests (the first time only) …", flush=True)
    CLOUDFLARE.mkdir(exist_ok=True)
    installed.unlink(missing_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "cloudflare" / name, CLOUDFLARE)
    npm = ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(npm, cwd=CLOUDFLARE, capture_output=True, text=True, check=False)
    if done.returncode:
        print(
            f"Cloudflare's runtime could not be installed:\n{done.stderr.strip()}\n"
            f"Correct that and run: cd {CLOUDFLARE} && {' '.join(npm)}",
            file=sys.stderr,
        )
        return False
    installed.write_text(digest)
    return True


if __name__ == "__main__":
    sys.exit(main())
