"""Where list prices come from: one file a source."""

from pricing.sources.base import Source
from pricing.sources.genai_prices import GenaiPrices

INSTALLED: Source = GenaiPrices()  # the one that the scheduled job and the command sync from
