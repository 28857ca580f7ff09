"""`make bench` runs all benchmarks, `make bench only=NAME` one of them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def names() -> list[str]:
    """The benchmarks: the modules of this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}: choose {', '.join(names())}.", file=sys.stderr)
        return 2
    for name in arguments or names():
        for measured in importlib.import_module(f"bench.{name}").run():
            print(json.dumps({"bench": name} | measured), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
