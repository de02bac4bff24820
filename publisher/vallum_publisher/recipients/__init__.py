"""Who may read encrypted lists: peppers, epochs, recipients and their wraps (DESIGN §7)."""
