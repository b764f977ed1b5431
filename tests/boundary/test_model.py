"""The error carries what to do about it."""

from sluicegate.boundary.model import BoundaryError


def test_error_has_message_and_hint() -> None:
    error = BoundaryError("network: no nft", "install nftables")
    assert (str(error), error.message, error.hint) == (
        "network: no nft",
        "network: no nft",
        "install nftables",
    )
