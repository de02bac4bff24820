"""Real servers on loopback, started once a test session and killed at its end.

A missing server skips its tests, visibly; with ``VALLUM_REQUIRE_SERVERS=1`` (as in CI) it fails them.
"""
