"""Stand-ins that hold their callers to the contract."""
