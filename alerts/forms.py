"""Forms of channels. What is allowed is said by the kinds of channel, through the actions."""

from __future__ import annotations

from django import forms

from alerts.actions.channels import NAME_LONGEST
from alerts.models import Channel
from tenants.forms.base import ActionForm


class ChannelForm(ActionForm):
    """A new channel of either kind; its labels follow the kind."""

    name = forms.CharField(
        label="Name",
        max_length=NAME_LONGEST,
        error_messages={"required": "Write a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    target = forms.CharField(required=False, max_length=500)

    def __init__(self, *args: object, kind: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        target, name = self.fields["target"], self.fields["name"]
        if kind == Channel.Kind.SLACK:
            name.widget.attrs["placeholder"] = "#ai-spend"
            target.label = "Incoming webhook"
            target.help_text = (
                "Slack gives it to you under Incoming Webhooks. It is kept sealed and not shown again. "
                "Empty: messages are only previewed in the outbox."
            )
            target.widget = forms.PasswordInput(
                attrs={"autocomplete": "off", "placeholder": "https://hooks.slack.com/…"}
            )
        else:
            name.widget.attrs["placeholder"] = "Finance"
            target.label = "E-mail address"
            target.help_text = "Empty: whoever administers the tenant when a message is sent."
            target.widget = forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "finance@example.com"})
