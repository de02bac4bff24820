"""Look-ups in verified lists (lookups.md)."""
