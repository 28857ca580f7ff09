"""E-mail: text and HTML in one message, through Django's mail backend."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from alerts.channels.base import DeliveryError, Rendered
from alerts.content import Alert, channels_url
from alerts.errors import InvalidChannelError
from alerts.models import Channel, Delivery
from tenants.mailing import MailError, hand_over, message_id
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
        message = EmailMultiAlternatives(
            subject=delivery.subject,
            body=delivery.text,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=to,
            headers={
                "Message-ID": message_id(delivery.id),
                "List-Unsubscribe": f"<{channels_url()}>",
                "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers
            },
        )
        message.attach_alternative(delivery.html, "text/html")
        try:
            hand_over(message)
        except MailError as error:
            raise DeliveryError(str(error), permanent=error.permanent) from error


def admins_of(tenant_id: str) -> list[str]:
    """The addresses of a tenant's admins whose accounts are active."""
    members = Membership.objects.filter(
        tenant_id=tenant_id,
        role__in=(Membership.Role.TENANT_ADMIN, Membership.Role.PLATFORM_ADMIN),
        user__is_active=True,
    )
    return list(members.order_by("user__email").values_list("user__email", flat=True).distinct())
