"""What the kernel says of a socket's memory: SO_MEMINFO (linux/sock_diag.h, Linux 4.12)."""

from __future__ import annotations

from typing import Protocol

_SOL_SOCKET, _SO_MEMINFO = 1, 55
# Nine counters of 32 bits in the machine's order, the last one SK_MEMINFO_DROPS.
_BYTES, _DROPS = 36, slice(32, 36)


class Holder(Protocol):
    """A socket, as far as its counters go."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def dropped(held: Holder) -> int:
    """How many packets the kernel has dropped at the socket `held` because its buffer was full."""
    return int.from_bytes(held.getsockopt(_SOL_SOCKET, _SO_MEMINFO, _BYTES)[_DROPS], "little")
