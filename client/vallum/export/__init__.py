"""Writing lists out as text for others: the ``full`` edition only, with decoys, never wider than it reads."""
