"""Steps from one form of the catalog to the next, run by :func:`vallum_publisher.catalog.open_catalog`."""
