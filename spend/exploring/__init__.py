"""Exploring spend: any grouping, filter, period, zone and measure, as a page, as saved views and over the API."""
