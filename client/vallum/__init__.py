"""Verify and apply signed URL and hash lists."""
