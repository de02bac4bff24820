"""Encrypted backups of a publisher: its catalog and its folder, in one file (docs/reference/backup.md).

The store is not in it: what is published is public, and the next publisher reads it there.
"""

from vallum_publisher.backup.archive import Backed, Restored, restore_backup, write_backup
from vallum_publisher.backup.envelope import Locks

__all__ = ["Backed", "Locks", "Restored", "restore_backup", "write_backup"]
