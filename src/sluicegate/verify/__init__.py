"""Records to verdicts. For callers of other projects: `verify`, `Verified`, `VerificationError`."""

from sluicegate.verify.library import (
    IncompleteError,
    UntrustedError,
    Verified,
    verify,
)
from sluicegate.verify.strict import VerificationError

__all__ = ["IncompleteError", "UntrustedError", "VerificationError", "Verified", "verify"]
