"""SHELL. The ids of receipts: one clock, one source of dice, one order for all of the gate."""

from __future__ import annotations

import os
import time

from sluicegate.evidence import ids

NS_PER_MS = 1_000_000


def nothing() -> None:
    """The callback of a receipt that nobody waits for."""


_rising = ids.Rising(ids.GATE)
_dice = bytearray()
DICE_BYTES = 1000  # of one call to the kernel: a hundred ids


def action_id() -> str:
    """The id of the receipt that is submitted next: the record shows ids in the order in which they were made.

    So it is made at once before `Ledger.submit`, and never for what may go behind others.
    """
    if len(_dice) < ids.SEED_BYTES:
        _dice.extend(os.urandom(DICE_BYTES))
    dice = bytes(_dice[-ids.SEED_BYTES :])
    del _dice[-ids.SEED_BYTES :]
    return _rising.next(time.time_ns() // NS_PER_MS, dice)
