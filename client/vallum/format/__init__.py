"""Bytes to frozen values and back: runs, tables, heads, charters (schemas/format.md).

Pure: no files, no sockets, no clock. Parsers raise :class:`vallum.errors.FormatError` and refuse whatever
their formatter would not have written.
"""
