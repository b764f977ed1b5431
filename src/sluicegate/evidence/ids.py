"""Action ids that only rise, so that a reader needs no memory of them to know that none comes twice. Pure.

Source: RFC 9562 sections 5.7, 5.8 and 6.2 (a seeded counter in the 74 bits beside the time).
"""

from __future__ import annotations

import re

# Whose sequence an id is of shows in its version, so that the two can not meet: gate and notary share no state.
GATE, NOTARY = 7, 8
# The counter: 12 bits before the variant, 62 behind it. It is seeded with its highest bit clear, so that two to the
# 73 ids of one millisecond still rise.
LOW_BITS = 62
COUNTER_BITS = 74
SEED_BYTES = 10  # of dice for one id; what is more than the counter holds is dropped
_FORMS = {
    version: re.compile(
        rf"[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}\Z"
    )
    for version in (GATE, NOTARY)
}


def is_id(text: str, version: int) -> bool:
    """Whether `text` is an id as `Rising(version)` spells it."""
    return _FORMS[version].match(text) is not None


def moment_ms(text: str) -> int:
    """The Unix time in milliseconds at which an id that `is_id` was made; not less than that of the one before."""
    return int(text[:8] + text[9:13], 16)


class Rising:
    """One sequence; each id is later than the one before, as text too, whatever the clock does."""

    __slots__ = ("_counter", "_milliseconds", "_version")

    def __init__(self, version: int) -> None:
        self._version, self._milliseconds, self._counter = version, -1, 0

    def next(self, now_ms: int, dice: bytes) -> str:
        """The next id; `now_ms` is the Unix time in milliseconds, `dice` are `SEED_BYTES` random bytes."""
        self._counter += 1
        if now_ms > self._milliseconds or self._counter >> COUNTER_BITS:
            self._milliseconds = max(now_ms, self._milliseconds + 1)
            self._counter = int.from_bytes(dice, "big") & (1 << COUNTER_BITS - 1) - 1
        high, low = self._counter >> LOW_BITS, self._counter & (1 << LOW_BITS) - 1
        value = self._milliseconds << 80 | self._version << 76 | high << 64 | 2 << LOW_BITS | low
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
