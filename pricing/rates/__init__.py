"""Exchange rates: the European Central Bank's euro foreign exchange reference rates, and conversions by them."""
