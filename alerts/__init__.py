"""Who hears what: channels and deliveries."""
