"""Pages of the KV ledger: how stores stand, what was written and why, what a document says, what is wrong."""
