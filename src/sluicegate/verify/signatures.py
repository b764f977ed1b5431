"""Who checks the signatures of receipts, which cost more than all else about them: here, one by one. Pure."""

from __future__ import annotations

from sluicegate.evidence import keys
from sluicegate.verify.strict import need

FAILED = "signature verification failed"


class Signatures:
    """Checks each at once. Others may keep them and say it later, as `sluicegate.verify.workers` does."""

    def add(self, key: bytes, signature: bytes, message: bytes, what: str) -> None:
        """Have `signature` by `key` over `message` checked; `what` names it.

        Raises:
            VerificationError: this one does not hold, or one before it.
        """
        need(keys.verifies(key, signature, message), f"{what}: {FAILED}")

    def settle(self) -> None:
        """Nothing, once all that were added were found good.

        Raises:
            VerificationError: the first that does not hold.
        """


AT_ONCE = Signatures()
