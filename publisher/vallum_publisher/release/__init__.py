"""From the catalog to signed versions in the store, in an order that a crash anywhere cannot spoil."""
