"""What calls look like: one small file for each API's wire format, with its usage block and its stream's events."""
