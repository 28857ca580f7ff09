"""Pages of prices, a module a page."""
