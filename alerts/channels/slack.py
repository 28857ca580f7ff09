"""Slack: an incoming webhook, Block Kit with plain text beside it."""

from __future__ import annotations

import http.client
import logging
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

from django.conf import settings
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)
from slack_sdk.webhook import WebhookClient, WebhookResponse

from alerts.channels.base import DeliveryError, Rendered
from alerts.content import Alert
from alerts.errors import InvalidChannelError
from alerts.guard import ForbiddenAddressError, check_url, open_guarded
from alerts.models import Channel, Delivery
from wire.envelope import Envelope, EnvelopeError

# Slack's documented limits (docs.slack.dev, Block Kit reference); the SDK's models refuse what is beyond them.
HEADER_LONGEST = 150
SECTION_LONGEST = 3000
TEXT_LONGEST = 4000  # beyond this a message is cut

_logger = logging.getLogger("alerts.slack")
_logger.setLevel(logging.WARNING)  # at DEBUG the SDK logs the webhook's address, which is a secret


class SlackKind:
    """`config` is {"sealed": the webhook's address, "shown": its host and last four}, or {} for a preview."""

    label = "Slack"
    icon = "brand-slack"

    def config(self, target: str, *, channel_id: str, tenant_id: str) -> dict[str, Any]:
        """A webhook's address; without one, messages are only previewed."""
        if not target.strip():
            return {}
        try:
            url = check_url(target)
        except ForbiddenAddressError as error:
            raise InvalidChannelError(str(error), field="target") from error
        if len(url) > 500:
            raise InvalidChannelError("That address is too long for a webhook.", field="target")
        return {
            "sealed": _envelope().seal(url, place=_place(tenant_id, channel_id)),
            "shown": f"{urlsplit(url).hostname} …{url[-4:]}",
        }

    def target(self, channel: Channel) -> str:
        return str(channel.config.get("shown", "preview only, no webhook"))

    def keeps_here(self, channel: Channel) -> bool:
        return "sealed" not in channel.config

    def render(self, alert: Alert) -> Rendered:
        blocks = [block.to_dict() for block in _blocks(alert)]
        return Rendered(subject=alert.title, text=_plain(alert)[:TEXT_LONGEST], blocks=blocks)

    def send(self, delivery: Delivery) -> None:
        channel = delivery.channel
        try:
            url = _envelope().open(channel.config["sealed"], place=_place(channel.tenant_id, channel.id))
        except EnvelopeError as error:
            raise DeliveryError(
                "The webhook's address cannot be opened: add the channel again.", permanent=True
            ) from error
        try:
            answer = _GuardedClient(url).send(text=delivery.text, blocks=delivery.blocks, unfurl_links=False)
        except ForbiddenAddressError as error:
            raise DeliveryError(str(error), permanent=True) from error
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(f"Slack cannot be reached: {_without(url, str(error))}", permanent=False) from error
        if answer.status_code == 200:
            return
        said = _without(url, " ".join(answer.body.split()))[:120]
        if 300 <= answer.status_code < 400:
            raise DeliveryError("The webhook's address leads elsewhere: add its final address.", permanent=True)
        temporary = answer.status_code in (408, 429) or answer.status_code >= 500
        raise DeliveryError(f"Slack answered {answer.status_code} {said}".rstrip(), permanent=not temporary)


class _GuardedClient(WebhookClient):
    """The SDK's client over a connection that checks where it leads to. Retrying is our schedule's business."""

    def __init__(self, url: str) -> None:
        super().__init__(url, logger=_logger, retry_handlers=[])

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        status, headers, body = open_guarded(req)
        return WebhookResponse(
            url=url, status_code=status, body=body.decode(errors="replace"), headers=dict(headers.items())
        )


def _blocks(alert: Alert) -> list[Block]:
    blocks: list[Block] = [
        HeaderBlock(text=PlainTextObject(text=alert.title[:HEADER_LONGEST], emoji=False)),
        SectionBlock(text=MarkdownTextObject(text=_escaped(alert.summary)[:SECTION_LONGEST])),
    ]
    if alert.facts:
        fields = [MarkdownTextObject(text=f"*{label}*\n{_escaped(value)}") for label, value in alert.facts]
        blocks.append(SectionBlock(fields=fields))
    if alert.drivers:
        lines = [f"• {_code(driver.name)} {_escaped(driver.words)}" for driver in alert.drivers]
        blocks.append(SectionBlock(text=MarkdownTextObject(text="*Top drivers*\n" + "\n".join(lines))))
    elif not alert.drivers_known:
        blocks.append(SectionBlock(text=MarkdownTextObject(text="*Top drivers*\nNot known just now.")))
    if alert.effect:
        blocks.append(SectionBlock(text=MarkdownTextObject(text=_escaped(alert.effect))))
    blocks.append(
        ActionsBlock(
            elements=[
                ButtonElement(
                    text=PlainTextObject(text="Open", emoji=False),
                    url=alert.url,
                    action_id="open",
                    style="danger" if alert.exhausted else "primary",
                )
            ]
        )
    )
    blocks.append(ContextBlock(elements=[MarkdownTextObject(text=f"SpendOps · {_escaped(alert.tenant)}")]))
    return blocks


def _plain(alert: Alert) -> str:
    """What is read out, and shown where blocks are not. Slack reads it as markup, too, so it is escaped."""
    parts = [alert.summary, *(f"{label}: {value}." for label, value in alert.facts)]
    if alert.drivers:
        parts.append("Top drivers: " + ", ".join(f"{driver.name} {driver.words}" for driver in alert.drivers) + ".")
    if alert.effect:
        parts.append(alert.effect)
    return _escaped(" ".join(parts)) + f" {alert.url}"


def _escaped(text: str) -> str:
    """The three characters that Slack's markup wants escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    return f"`{_escaped(text).replace('`', '')[:200]}`"


def _without(url: str, text: str) -> str:
    """Text that may quote the webhook's address, with the secret part taken out."""
    return text.replace(url, "…").replace(urlsplit(url).path, "…") if urlsplit(url).path.strip("/") else text


def _envelope() -> Envelope:
    return Envelope(settings.ENVELOPE_KEY.encode())


def _place(tenant_id: str, channel_id: str) -> str:
    return f"{tenant_id}|channel|{channel_id}"
