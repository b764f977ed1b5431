from __future__ import annotations

import pytest

from sluicegate.evidence import keys
from sluicegate.verify.signatures import AT_ONCE
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


def test_each_is_checked_at_once() -> None:
    signature = keys.signer(made.SEED)[0](b"m")
    AT_ONCE.add(made.PIN, signature, b"m", "it")
    AT_ONCE.settle()
    for bad in (bytes(64), signature[:-1], signature + b"\0"):
        with pytest.raises(VerificationError, match="it: signature verification failed"):
            AT_ONCE.add(made.PIN, bad, b"m", "it")
