"""The message that an invitation goes out with.

It is sent while the page waits, and not queued: a queue would have to keep the link, which opens a tenant, and only the
link's hash is kept. Whoever invited is told at once whether it went out, and invites again when it did not.
"""

from __future__ import annotations

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from tenants.models import Invitation


def is_set_up() -> bool:
    """Whether there is a mail server. Without one messages are kept here, and shown on the outbox page."""
    return not settings.MAIL_TO_OUTBOX


def link_of(token: str) -> str:
    """The address that accepts an invitation. Browsers send nothing of what stands after the #."""
    return f"{settings.PUBLIC_URL}{reverse('tenants:join')}#{token}"


def subject_of(invitation: Invitation) -> str:
    """Such as "Join Acme on SpendOps"."""
    return " ".join(f"Join {invitation.tenant.name} on SpendOps".split())


def text_of(invitation: Invitation, *, link: str) -> str:
    """The message. Where it is shown later, `link` is a placeholder: the link itself is kept nowhere."""
    return render_to_string("tenants/mail/invitation.txt", {"invitation": invitation, "link": link}).strip() + "\n"


def send_invitation(invitation: Invitation, *, token: str) -> str:
    """Hand the message to the mail server. Returns "" or, in a sentence, why it was not taken."""
    host = urlsplit(settings.PUBLIC_URL).hostname
    message = EmailMessage(
        subject=subject_of(invitation),
        body=text_of(invitation, link=link_of(token)),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[invitation.email],
        headers={"Message-ID": f"<{invitation.id}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused:
        return f"The mail server does not take messages for {invitation.email}."
    except smtplib.SMTPResponseException as error:
        return f"The mail server refused the message with code {error.smtp_code}."
    except (smtplib.SMTPException, OSError) as error:
        return f"The mail server cannot be reached: {error}."
    return ""
