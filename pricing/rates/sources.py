"""Where rates come from on this installation, in the order in which they are asked."""

from __future__ import annotations

from django.conf import settings

from pricing.rates.base import RateSource
from pricing.rates.bundled import Bundled
from pricing.rates.ecb import URL, Ecb


def sources(*, offline: bool = False) -> list[RateSource]:
    """The feed, unless it is switched off, and the bundled history behind it."""
    if offline or settings.RATES_URL == "off":
        return [Bundled()]
    return [Ecb(settings.RATES_URL or URL), Bundled()]
