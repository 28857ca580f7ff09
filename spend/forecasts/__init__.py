"""Forecasts: what a tenant's days to come will cost, with an interval."""
