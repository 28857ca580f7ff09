"""Cost centres: who pays for usage, by rules that are a view over it, and how shared costs are split."""
