"""Secrets that must be read and not only signed with, at rest: peppers, epoch keys, decoy seeds.

They lie in the catalog, so that all publishers of one catalog have them and a backup of it is whole; never in
clear, but each under the *vault key*, which is elsewhere: in a file, in the environment, wrapped by a key of
AWS KMS, or in HashiCorp Vault (:mod:`.places`). Whoever has catalog and vault key can read the lists; either
alone tells nothing of them but what the catalog's rows say.
"""

from __future__ import annotations

from vallum_publisher.vault.places import DEFAULT, file_of, make_vault, open_vault
from vallum_publisher.vault.sealing import KEY_BYTES, Vault

__all__ = ["DEFAULT", "KEY_BYTES", "Vault", "file_of", "make_vault", "open_vault"]
