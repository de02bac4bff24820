"""The client's sync: from a repository of signed objects to verified tables in force (schemas/client.md).

Nothing is imported here, so that what is pure (freshness, verification of the state) loads no TUF.
"""
