"""Changing, losing and recovering keys, with real publishers, stores and clients."""
