"""Re-rating: past events priced anew by a price book, written again with a higher rev, and counted anew."""
