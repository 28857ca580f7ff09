"""What messages say, and that they hold what their receivers demand of them."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import pytest

from alerts.actions.announcing import announce_crossings
from alerts.models import Delivery
from budgets.actions import Settings, change_budget
from budgets.evaluator import evaluate
from spend.clickhouse.errors import UnavailableError
from tenants.scope import across_tenants
from tests.alerts.conftest import by_kind, deliveries
from tests.budgets.making import NOON, SOMEBODY, Ledger, make_budget

LATER = NOON + timedelta(seconds=10)


def text_of(block: dict) -> str:
    texts = [block["text"]["text"]] if "text" in block else []
    texts += [each["text"] for each in block.get("fields", [])]
    texts += [
        each["text"] if isinstance(each["text"], str) else each["text"]["text"] for each in block.get("elements", [])
    ]
    return "\n".join(texts)


def test_the_slack_message_says_it_all(crossed):
    announce_crossings(now=LATER)
    slack = by_kind()["slack"]
    whole = "\n".join(text_of(block) for block in slack.blocks)
    for words in (
        "Budget “First” is used up (124%)",
        "Example &lt;Corp&gt; &amp; Sons",
        "*Used*\n$0.00012465 of $0.0001 (124%)",
        "*Period*\n1–30 Nov 2026, Asia/Kolkata",
        "• `gpt-4o-mini` $0.00008 (64.2%)",
        "• `claude-sonnet-4-5`",
        "Until 1 Dec 00:00 Asia/Kolkata, all calls are refused with 402.",
    ):
        assert words in whole
    assert "o3" not in whole  # the fourth of the drivers
    assert "<b>" not in whole
    (button,) = next(block for block in slack.blocks if block["type"] == "actions")["elements"]
    assert button["url"] == f"http://localhost:8000/budgets/{crossed.id}"
    assert "$0.00012465 of $0.0001" in slack.text
    assert slack.text.endswith(button["url"])


def check_limits(blocks: list[dict]) -> None:
    """Slack's documented limits of a message and of the blocks that we use."""
    assert len(blocks) <= 50
    for block in blocks:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= 150
            assert block["text"]["type"] == "plain_text"
        elif block["type"] == "section":
            assert ("text" in block) or ("fields" in block)
            if "text" in block:
                assert 1 <= len(block["text"]["text"]) <= 3000
            fields = block.get("fields", [])
            assert len(fields) <= 10
            assert all(1 <= len(each["text"]) <= 2000 for each in fields)
        elif block["type"] == "actions":
            assert len(block["elements"]) <= 25
            for each in block["elements"]:
                assert len(each["text"]["text"]) <= 75
                assert len(each["url"]) <= 3000
                assert 1 <= len(each["action_id"]) <= 255
                assert each.get("style") in (None, "primary", "danger")
        elif block["type"] == "context":
            assert 1 <= len(block["elements"]) <= 10
        else:
            raise AssertionError(f"an unknown block: {block['type']}")


@pytest.mark.parametrize("name", ["First", "&" * 80, "<!channel> & <https://evil.example|x>"])
def test_blocks_stay_within_slacks_limits_and_names_are_only_text(tenant, drivers, name):
    drivers[0] = drivers[0]._replace(group="m" * 5000)
    budget = make_budget(tenant, name=name)
    evaluate(LATER, read=Ledger({budget.id: 10**30}))
    announce_crossings(now=LATER)
    slack = by_kind()["slack"]
    check_limits(slack.blocks)
    assert len(slack.text) <= 4000
    markup = [text_of(block) for block in slack.blocks if block["type"] != "header"]
    assert not any("<!channel>" in each or "<https" in each for each in [*markup, slack.text])


class Reader(HTMLParser):
    """What a screen reader needs, and what mail programs refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_the_mail_is_accessible_and_has_a_plain_text_part(crossed):
    announce_crossings(now=LATER)
    mail = by_kind()["email"]
    reader = Reader()
    reader.feed(mail.html)
    names = [tag for tag, _ in reader.tags]
    attributes = dict(reader.tags[names.index("html")][1])
    assert attributes["lang"] == "en"
    assert names.count("h1") == 1
    assert {"script", "img", "form"}.isdisjoint(names)
    for tag, given in reader.tags:
        if tag == "table":  # layout says so, data has row headings
            assert given.get("role") == "presentation" or "th" in names
        if tag == "a":
            assert given["href"].startswith("http://localhost:8000/")
    assert "prefers-color-scheme: dark" in mail.html
    assert "Example &lt;Corp&gt; &amp; Sons" in mail.html
    assert "&lt;b&gt;*odd*" in mail.html
    assert mail.subject == "Budget “First” is used up (124%)"
    assert "Example <Corp> & Sons" in mail.text
    assert "Used: $0.00012465 of $0.0001 (124%)" in mail.text
    assert f"Open: http://localhost:8000/budgets/{crossed.id}" in mail.text
    assert "<" not in mail.text.replace("<Corp>", "").replace("<b>", "").replace("</b>", "")


def test_a_lower_threshold_says_what_will_happen(tenant):
    budget = make_budget(tenant)
    evaluate(LATER, read=Ledger({budget.id: 85_000_000}))
    announce_crossings(now=LATER)
    mail = by_kind()["email"]
    assert mail.subject == "Budget “First”: 85% used"
    assert "has reached 80% of $0.0001" in mail.text
    assert "At 100%, all calls are refused with 402 until 1 Dec 00:00 Asia/Kolkata." in mail.text
    assert len(deliveries()) == 2  # 50 % was crossed in the same moment, and is not told


def test_a_recovery_says_why(tenant, crossed):
    announce_crossings(now=LATER)
    change_budget(
        budget_id=crossed.id, tenant_id=tenant.id, wanted=Settings(name="First", amount="100"), by=SOMEBODY, now=LATER
    )
    announce_crossings(now=LATER)
    with across_tenants("a test looks"):
        told = Delivery.objects.get(kind="recovered", channel__kind="email")
    assert told.subject == "Budget “First” has recovered"
    assert "The limit is $100.00 now. Calls pass again." in told.text
    assert "refused" not in told.text


def test_an_alert_does_not_wait_for_the_drivers(crossed, monkeypatch):
    def away(*_, **__):
        raise UnavailableError("no answer")

    monkeypatch.setattr("alerts.content.daily_spend", away)
    announce_crossings(now=LATER)
    assert "not known just now" in by_kind()["email"].text
    check_limits(by_kind()["slack"].blocks)
