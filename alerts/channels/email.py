"""E-mail: text and HTML in one message, through Django's mail backend."""

from __future__ import annotations

import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from alerts.channels.base import DeliveryError, Rendered
from alerts.content import Alert, channels_url
from alerts.errors import InvalidChannelError
from alerts.models import Channel, Delivery
from tenants.models import Membership

ADMINS = "tenant_admins"  # instead of an address: whoever administers the tenant when the message is sent


class EmailKind:
    """`config` is {"to": an address, or `ADMINS`}."""

    label = "E-mail"
    icon = "mail"

    def config(self, target: str, *, channel_id: str, tenant_id: str) -> dict[str, Any]:
        """An address; without one, the tenant's admins."""
        address = target.strip()
        if not address:
            return {"to": ADMINS}
        try:
            validate_email(address)
        except ValidationError as error:
            raise InvalidChannelError(f"{address[:80]!r} is not an e-mail address.", field="target") from error
        return {"to": address}

    def target(self, channel: Channel) -> str:
        if channel.config["to"] == ADMINS:
            return ", ".join(admins_of(channel.tenant_id)) or "the tenant's admins"
        return str(channel.config["to"])

    def keeps_here(self, channel: Channel) -> bool:
        return bool(settings.MAIL_TO_OUTBOX)

    def render(self, alert: Alert) -> Rendered:
        context = {"alert": alert, "bar": min(alert.percent, 100)}
        return Rendered(
            subject=" ".join(alert.title.split()),
            text=render_to_string("alerts/mail/alert.txt", context).strip() + "\n",
            html=render_to_string("alerts/mail/alert.html", context),
        )

    def send(self, delivery: Delivery) -> None:
        channel = delivery.channel
        to = admins_of(channel.tenant_id) if channel.config["to"] == ADMINS else [channel.config["to"]]
        if not to:
            raise DeliveryError(
                "The tenant has no admin whose account is active: add an address on the channels page.", permanent=True
            )
        host = urlsplit(settings.PUBLIC_URL).hostname
        message = EmailMultiAlternatives(
            subject=delivery.subject,
            body=delivery.text,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=to,
            headers={
                # The same on every attempt: a receiver that got it already can tell.
                "Message-ID": f"<{delivery.id}@{host}>",
                "List-Unsubscribe": f"<{channels_url()}>",
                "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers
            },
        )
        message.attach_alternative(delivery.html, "text/html")
        try:
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise DeliveryError(_worded(error), permanent=all(code >= 500 for code in codes)) from error
        except smtplib.SMTPAuthenticationError as error:
            raise DeliveryError(_worded(error), permanent=False) from error  # ours to put right, then it goes
        except smtplib.SMTPResponseException as error:
            raise DeliveryError(_worded(error), permanent=error.smtp_code >= 500) from error
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"The mail server cannot be reached: {error}", permanent=False) from error


def admins_of(tenant_id: str) -> list[str]:
    """The addresses of a tenant's admins whose accounts are active."""
    members = Membership.objects.filter(
        tenant_id=tenant_id,
        role__in=(Membership.Role.TENANT_ADMIN, Membership.Role.PLATFORM_ADMIN),
        user__is_active=True,
    )
    return list(members.order_by("user__email").values_list("user__email", flat=True).distinct())


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
