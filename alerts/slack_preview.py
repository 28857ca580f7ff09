"""Block Kit as the outbox page draws it. Pure: blocks in, parts for a template out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

# Slack's own markup (docs.slack.dev, "Formatting message text"), as far as our messages use it.
_MARKUP = re.compile(r"`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*|<(?P<url>https?://[^|>\s]+)\|(?P<label>[^>]+)>")
_ESCAPES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def parts_of(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each block with its `type` and what a template draws of it: `text`, `fields`, `buttons`."""
    return [_part(block) for block in blocks]


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    if kind == "actions":
        buttons = [
            {"text": each["text"]["text"], "style": each.get("style", ""), "url": _safe(each.get("url", ""))}
            for each in block["elements"]
        ]
        return {"type": kind, "buttons": buttons}
    if kind == "context":
        return {"type": kind, "fields": [_drawn(each) for each in block["elements"]]}
    return {
        "type": kind,
        "text": _drawn(block["text"]) if "text" in block else "",
        "fields": [_drawn(each) for each in block.get("fields", [])],
    }


def _drawn(text: Mapping[str, Any]) -> SafeString:
    if text["type"] == "plain_text":
        return format_html("{}", text["text"])
    return mrkdwn(text["text"])


def mrkdwn(text: str) -> SafeString:
    """Slack's markup as HTML: every piece is escaped, and only what this function writes is markup."""
    drawn = SafeString("")
    end = 0
    for found in _MARKUP.finditer(text):
        drawn += _lines(text[end : found.start()])
        end = found.end()
        if found["code"]:
            drawn += format_html("<code>{}</code>", _plain(found["code"]))
        elif found["bold"]:
            drawn += format_html("<strong>{}</strong>", _plain(found["bold"]))
        else:
            drawn += format_html('<a href="{}" rel="noopener">{}</a>', _safe(found["url"]), _plain(found["label"]))
    return drawn + _lines(text[end:])


def _lines(text: str) -> SafeString:
    return mark_safe("<br>".join(format_html("{}", _plain(line)) for line in text.split("\n")))  # noqa: S308 - escaped


def _plain(text: str) -> str:
    for escaped, letter in _ESCAPES.items():
        text = text.replace(escaped, letter)
    return text


def _safe(url: str) -> str:
    return url if urlsplit(url).scheme in ("http", "https") else ""
