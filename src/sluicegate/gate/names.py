"""The pool of synthetic addresses: one per name for the whole run, never recycled."""

from __future__ import annotations

from sluicegate.evidence.counts import FIRST_BOUND, MAX_BOUND


class Names:
    """Names by address and addresses by name. `size` is how many names the pool can hold."""

    def __init__(self, size: int = MAX_BOUND) -> None:
        self._size = min(size, MAX_BOUND)
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def bind(self, name: str) -> str | None:
        """The address of the canonical `name`, the same each time; None if the pool is used up."""
        known = self._addresses.get(name)
        if known is not None:
            return known
        if len(self._addresses) >= self._size:
            return None
        number = FIRST_BOUND + len(self._addresses)
        address = ".".join(str(octet) for octet in number.to_bytes(4, "big"))
        self._addresses[name] = address
        self._names[address] = name
        return address

    def name(self, address: str) -> str | None:
        """The name that `address` was bound to, or None for an address never given out."""
        return self._names.get(address)
