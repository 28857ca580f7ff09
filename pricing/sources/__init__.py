"""Where list prices come from: one file a source."""

from django.conf import settings

from pricing.sources.base import Source
from pricing.sources.genai_prices import GenaiPrices
from pricing.sources.table import TableFile

# The one that the scheduled job and the command sync from.
INSTALLED: Source = TableFile(settings.PRICE_FILE) if settings.PRICE_FILE else GenaiPrices()
