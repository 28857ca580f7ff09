"""Pages and JSON endpoints of signing in, enrolling, confirming, and one's own passkeys."""
