"""Key-value stores that policy is published to, one namespace per environment."""
