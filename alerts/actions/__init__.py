"""Everything that is written about alerts: channels, what is announced on them, and how it arrives."""
