"""A sending as mail: text and HTML, the file, and the link by which whoever gets it wants it no more."""

from __future__ import annotations

from email.encoders import encode_base64
from email.mime.base import MIMEBase
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from spend.exports.files import file_of, name_for
from spend.exports.formats import KEPT
from spend.exports.wanted import Format
from spend.models import Export, ReportMail, ReportRecipient, ReportSending
from tenants.mailing import MailError, hand_over, message_id
from tenants.scope import across_tenants

FILE_MOST = 8 * 1024 * 1024  # bytes: beyond, mail servers refuse the message
_SALT = "spend.reports.unsubscribe"


def unsubscribe_url(recipient: ReportRecipient) -> str:
    """Where this person says that they do not want this report any more. Works without signing in."""
    token = signing.dumps(recipient.pk, salt=_SALT)
    return f"{settings.PUBLIC_URL}{reverse('spend:report_unsubscribe', args=[token])}"


def recipient_of(token: str) -> ReportRecipient | None:
    """Whose link it is; None for one that we did not sign, and when the report or the person is gone."""
    try:
        found = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    with across_tenants("the link itself says whose it is"):
        rows = ReportRecipient.objects.select_related("report", "report__tenant", "user")
        row: ReportRecipient | None = rows.filter(pk=found).exclude(report__status="deleted").first()
    return row


def rendered(sending: ReportSending, *, unsubscribe: str = "") -> tuple[str, str]:
    """The text and the HTML of a message; without a link for what is shown to others."""
    context: dict[str, Any] = {
        "content": sending.content,
        "report": sending.report,
        "partial": sending.partial,
        "test": sending.kind == ReportSending.Kind.TEST,
        "subject": sending.subject,
        "unsubscribe": unsubscribe,
        "report_url": settings.PUBLIC_URL + reverse("spend:report", args=[sending.report_id]),
    }
    text = render_to_string("spend/mail/report.txt", context).strip() + "\n"
    return text, render_to_string("spend/mail/report.html", context)


def send(mail: ReportMail) -> None:
    """Hand a mail to the mail server. Raises MailError."""
    sending = mail.sending
    recipient = sending.report.recipients.filter(user_id=mail.user_id).first()
    headers = {"Message-ID": message_id(mail.id), "Auto-Submitted": "auto-generated"}
    link = unsubscribe_url(recipient) if recipient is not None else ""
    if link:
        headers |= {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}  # RFC 8058
    text, html = rendered(sending, unsubscribe=link)
    message = EmailMultiAlternatives(
        subject=sending.subject,
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mail.address],
        headers=headers,
    )
    message.attach_alternative(html, "text/html")
    if name := sending.content.get("file"):
        message.attach(_file(sending.export, name))
    hand_over(message)


def _file(export: Export | None, name: str) -> MIMEBase:
    """The file as it lies on the disk, byte by byte. Raises MailError."""
    path = file_of(export) if export is not None else None
    if export is None or path is None:
        raise MailError("The file that belongs to this mail was deleted before it went out.", permanent=True)
    kind, subtype = KEPT[Format(export.format)].content_type.partition(";")[0].split("/")
    part = MIMEBase(kind, subtype)
    part.set_payload(path.read_bytes())
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def file_name(export: Export, sending: ReportSending) -> str:
    """What the attached file is called; "" when the file is not there, or too large for mail."""
    if file_of(export) is None or export.bytes > FILE_MOST:
        return ""
    first, last = sending.first.isoformat(), sending.last.isoformat()
    return name_for(export, tenant_name=sending.tenant.name, first=first, last=last)
