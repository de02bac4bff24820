"""Intake: what hotlines have (plain text, CSV, JSON Lines) to records for the catalog, or to rejects.

An input is taken whole or not at all. What becomes of records is :mod:`vallum_publisher.catalog`'s business.
"""

from vallum_publisher.intake.lines import ENCODINGS
from vallum_publisher.intake.read import Format, read_records
from vallum_publisher.intake.rejects import Reject, RejectedInput

__all__ = ["ENCODINGS", "Format", "Reject", "RejectedInput", "read_records"]
