"""Pure rules about people and time: no database, no request."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from secrets import token_hex
from string import hexdigits
from urllib.parse import unquote


def normal_email(email: str) -> str:
    """An e-mail address as it is kept and compared: without surrounding space, in lower case."""
    return email.strip().lower()


# The first that is found counts: Edge and Opera also say Chrome, and Chrome also says Safari.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """A User-Agent header as people say it: "Firefox on Linux". A guess, for a list of one's own sessions only."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "Another program")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def token_hash(token: str) -> str:
    """What is kept of a secret token of 128 bits or more."""
    return sha256(token.encode()).hexdigest()


def new_recovery_code() -> str:
    """128 random bits as a person can type them: eight groups of four letters and digits, none of which look alike."""
    digits = token_hex(16)
    return "-".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def plain_code(typed: str) -> str:
    """A recovery code as it is compared: whatever its case, hyphens and spaces."""
    return "".join(letter for letter in typed.lower() if letter in hexdigits)


def span(seconds: int) -> str:
    """A length of time as people say it: "45 seconds", "15 minutes", "8 hours". Rounded up to whole units."""
    size, unit = next(
        each
        for each in ((3600, "hour"), (60, "minute"), (1, "second"))
        if seconds >= 2 * each[0] or seconds == each[0] or each[0] == 1
    )
    number = -(-seconds // size)
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def session_ended(*, now: float, signed_in_at: float | None, seen_at: float | None, idle: int, absolute: int) -> bool:
    """Whether a session has reached a limit (all figures in seconds). Without its stamps a session has ended."""
    if signed_in_at is None or seen_at is None:
        return True
    return now - signed_in_at > absolute or now - seen_at > idle


def action_hash(*, method: str, path: str, query: str, fields: Iterable[tuple[str, str]]) -> str:
    """What a bound step-up is bound to: the request's method, address and form fields, whatever their order.

    The CSRF token is left out, as it changes; line ends count as one character, as browsers change them on the way.
    """
    parts = sorted(
        (name, value.replace("\r\n", "\n").replace("\r", "\n"))
        for name, value in fields
        if name != "csrfmiddlewaretoken"
    )
    digest = sha256()
    for part in (method.upper(), unquote(path), query, *(text for pair in parts for text in pair)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def credential_hash(credential_id: bytes) -> str:
    """What a credential is looked up by: ids are up to 1,023 bytes long."""
    return sha256(credential_id).hexdigest()
