"""Handing messages to the mail server, and what it says when it does not take one."""

from __future__ import annotations

import smtplib
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.conf import settings
from django.core.mail import EmailMessage

# Mail has its styles inline. For its preview, and nowhere else, they may take effect: in a sandbox with an origin of
# its own, without scripts, forms or cookies, that can do nothing but show text and open links in a new tab.
PREVIEW_POLICY = {
    "default-src": [NONE],
    "script-src": [NONE],
    "style-src": ["'unsafe-inline'"],
    "img-src": [NONE],
    "font-src": [NONE],
    "connect-src": [NONE],
    "form-action": [NONE],
    "base-uri": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
}


class MailError(Exception):
    """A message that was not taken. `permanent`: trying again would change nothing. The text is shown to people."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


def message_id(id: str) -> str:
    """The same on every attempt: a receiver that got the message already can tell."""
    return f"<{id}@{urlsplit(settings.PUBLIC_URL).hostname}>"


def hand_over(message: EmailMessage) -> None:
    """Hand a message to the mail server. Raises MailError."""
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise MailError(_worded(error), permanent=all(code >= 500 for code in codes)) from error
    except smtplib.SMTPAuthenticationError as error:
        raise MailError(_worded(error), permanent=False) from error  # ours to put right, then it goes
    except smtplib.SMTPResponseException as error:
        raise MailError(_worded(error), permanent=error.smtp_code >= 500) from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(f"The mail server cannot be reached: {error}", permanent=False) from error


def _worded(error: smtplib.SMTPException) -> str:
    """The mail server's own words, on one line."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        said = "; ".join(f"{to}: {code} {_text(text)}" for to, (code, text) in error.recipients.items())
    elif isinstance(error, smtplib.SMTPResponseException):
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
    else:
        said = str(error)
    return f"The mail server refused: {said}"


def _text(raw: bytes | str) -> str:
    return " ".join((raw.decode(errors="replace") if isinstance(raw, bytes) else raw).split())
