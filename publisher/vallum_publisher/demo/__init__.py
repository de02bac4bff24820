"""The whole thread in a temporary folder: publish, serve, sync, match, tamper. Reserved names only."""
