"""One call from its arrival to its last byte: admitted, forwarded, recorded, answered."""
