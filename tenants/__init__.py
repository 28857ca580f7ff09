"""Tenants, their projects, API keys and members, and the walls between them."""
