"""Pages and JSON endpoints of signing in, enrolling, recovering, confirming, and one's own passkeys and sessions."""
