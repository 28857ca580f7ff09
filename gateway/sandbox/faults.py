"""Faults on request, so that a gateway's manners can be tested: the header `x-sandbox-fault`.

Several are separated by commas: `delay=0.5, cut-after=3`.

- `status=503`: answer with that error
- `delay=2`: wait so many seconds before the first byte
- `pace=0.1`: wait so many seconds between the events of a stream
- `cut-after=3`: drop the connection after so many events of a stream, or in the middle of a plain answer
- `no-usage`: leave the usage block out

SpendOps' gateway passes this header on to the sandbox only.
"""

from __future__ import annotations

from dataclasses import dataclass

_SECONDS_MOST = 60.0


@dataclass(frozen=True)
class Faults:
    """What was asked for. Raises ValueError for what is not known, with a sentence."""

    status: int = 0
    delay: float = 0.0
    pace: float = 0.0
    cut_after: int | None = None
    no_usage: bool = False

    @classmethod
    def parse(cls, header: str) -> Faults:
        """Read the header's value."""
        found: dict[str, int | float | bool] = {}
        for part in header.split(","):
            name, _, value = part.strip().partition("=")
            try:
                match name:
                    case "":
                        continue
                    case "status" if 400 <= int(value) <= 599:
                        found["status"] = int(value)
                    case "delay" | "pace" if 0 <= float(value) <= _SECONDS_MOST:
                        found[name] = float(value)
                    case "cut-after" if int(value) >= 0:
                        found["cut_after"] = int(value)
                    case "no-usage":
                        found["no_usage"] = True
                    case _:
                        raise ValueError
            except ValueError as error:
                raise ValueError(f"x-sandbox-fault: {part.strip()!r} is not a fault that the sandbox knows.") from error
        return cls(**found)  # type: ignore[arg-type]
