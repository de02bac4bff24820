"""The tests; fakes and real servers that several of them share lie in ``fakes`` and ``servers``."""
