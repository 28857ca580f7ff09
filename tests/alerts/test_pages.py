from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts.actions.announcing import announce_crossings
from alerts.actions.channels import add_channel
from alerts.actions.sending import send_due
from alerts.slack_preview import mrkdwn
from budgets.evaluator import evaluate
from tests.alerts.conftest import by_kind, channels, deliveries
from tests.budgets.making import SOMEBODY, Ledger, make_budget


@pytest.fixture
def told(admin_client):
    """The first admin's tenant, whose budget was used up and who was told."""
    budget = make_budget(admin_client.tenant)
    evaluate(read=Ledger({budget.id: 124_650_000}, data_to=timezone.now()))
    announce_crossings()
    send_due()
    return admin_client


def body(answer) -> str:
    return answer.content.decode()


def test_an_empty_outbox_says_what_will_be_here(admin_client):
    assert "No messages yet" in body(admin_client.get(reverse("alerts:outbox")))


def test_the_outbox_lists_messages_and_refreshes_only_when_something_changed(told):
    answer = told.get(reverse("alerts:outbox"))
    assert body(answer).count("Budget “First” is used up (124%)") == 2
    assert "Kept here" in body(answer)
    live = f"{reverse('alerts:outbox_rows')}?seen={answer.context['seen']}"
    assert told.get(live).status_code == 204
    make_budget(told.tenant, name="Second")
    send_due(now=timezone.now() + timedelta(days=1))
    assert told.get(live).status_code == 204
    assert told.get(reverse("alerts:outbox_rows")).status_code == 200


def test_the_slack_message_is_drawn_as_slack_shows_it(told):
    slack = by_kind()["slack"]
    page = body(told.get(reverse("alerts:delivery", args=[slack.id])))
    assert '<p class="slack-header">Budget “First” is used up (124%)</p>' in page
    assert "<strong>Used</strong><br>$0.00012465 of $0.0001 (124%)" in page
    assert "<code>gpt-4o-mini</code>" in page
    assert 'class="slack-button slack-danger"' in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "&quot;mrkdwn&quot;" in page  # the payload itself


def test_the_mail_is_shown_in_a_sandbox_of_its_own(told):
    mail = by_kind()["email"]
    page = told.get(reverse("alerts:delivery", args=[mail.id]))
    address = reverse("alerts:mail_html", args=[mail.id])
    assert f'src="{address}" sandbox="allow-popups' in body(page)
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "unsafe-inline" not in page["Content-Security-Policy"]
    raw = told.get(address)
    assert body(raw) == mail.html
    policy = dict(part.strip().partition(" ")[::2] for part in raw["Content-Security-Policy"].split(";"))
    assert policy["style-src"] == "'unsafe-inline'"
    assert policy["default-src"] == policy["script-src"] == policy["form-action"] == "'none'"
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert policy["frame-ancestors"] == "'self'"
    assert raw["X-Frame-Options"] == "SAMEORIGIN"
    slack = by_kind()["slack"]
    assert told.get(reverse("alerts:mail_html", args=[slack.id])).status_code == 404


def test_a_message_that_failed_shows_why_and_can_be_sent_again(told, webhook):
    webhook.status, webhook.body = 404, "no_service"
    channel = add_channel(tenant=told.tenant, kind="slack", name="Team", target=webhook.url, by=SOMEBODY)
    answer = told.post(reverse("alerts:channel_test", args=[channel.id]))
    send_due()
    page = body(told.get(answer["Location"]))
    assert "Slack answered 404 no_service" in page
    assert "Slack answered 404 no_service" in body(told.get(reverse("alerts:channels")))
    webhook.status = 200
    made = deliveries()[-1]
    told.post(reverse("alerts:retry", args=[made.id]))
    send_due()
    assert len(webhook.taken) == 1
    assert "Send again" not in body(told.get(reverse("alerts:delivery", args=[made.id])))


def test_channels_are_added_and_removed(admin_client):
    page = body(admin_client.get(reverse("alerts:channels")))
    assert "E-mail to admins" in page
    assert "asha@example.com" in page
    secret = "https://hooks.slack.com/services/T0/B0/verySecretToken"
    path = reverse("alerts:channel_new", args=["slack"])
    refused = admin_client.post(path, {"name": "Team", "target": "nonsense"})
    assert refused.status_code == 422
    assert "must begin with https://" in body(refused)
    assert admin_client.post(path, {"name": "Team", "target": secret}).status_code == 302
    page = body(admin_client.get(reverse("alerts:channels")))
    assert "hooks.slack.com …oken" in page
    assert "verySecret" not in page
    channel = channels()[-1]
    admin_client.post(reverse("alerts:channel_remove", args=[channel.id]))
    assert "hooks.slack.com" not in body(admin_client.get(reverse("alerts:channels")))


def test_a_refused_webhook_is_not_sent_back(admin_client):
    secret = "http://hooks.slack.com/services/T0/B0/verySecretToken"
    answer = admin_client.post(reverse("alerts:channel_new", args=["slack"]), {"name": "Team", "target": secret})
    assert answer.status_code == 422
    assert "verySecret" not in body(answer)


def test_another_tenants_messages_are_nowhere(told, stranger):
    budget = make_budget(stranger, name="Secret plan")
    evaluate(read=Ledger({budget.id: 10**12}, data_to=timezone.now()))
    announce_crossings()
    theirs = next(each for each in deliveries() if each.tenant_id == stranger.id)
    for name in ("delivery", "mail_html"):
        assert told.get(reverse(f"alerts:{name}", args=[theirs.id])).status_code == 404
    assert told.post(reverse("alerts:retry", args=[theirs.id])).status_code == 404
    for name in ("channel_test", "channel_remove"):
        assert told.post(reverse(f"alerts:{name}", args=[theirs.channel_id])).status_code == 404
    assert "Secret plan" not in body(told.get(reverse("alerts:outbox")))


def test_markup_of_slack_is_drawn_and_everything_else_is_text():
    assert mrkdwn("*bold* and `code`\nnext") == "<strong>bold</strong> and <code>code</code><br>next"
    assert mrkdwn("<https://example.com/a|here>") == '<a href="https://example.com/a" rel="noopener">here</a>'
    assert mrkdwn("<script>alert(1)</script>") == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert mrkdwn("&lt;b&gt; &amp; *&lt;i&gt;*") == "&lt;b&gt; &amp; <strong>&lt;i&gt;</strong>"
    assert "javascript" not in mrkdwn("<javascript:alert(1)|x>").replace("&lt;javascript", "")
