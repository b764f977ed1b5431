"""How long a client may take for its first bytes, and for the next request. Pure but for the loop's timers."""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.gate.actions import nothing
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import Alarm, Loop


class Times:
    """`silent` is called when the grace is over, `late` when the time is; both begin at once.

    While neither is waited for (`pause`), the `alarm` is for whoever waits for something else of the client.
    """

    def __init__(
        self, loop: Loop, limits: Limits, silent: Callable[[], None], late: Callable[[], None]
    ) -> None:
        self._loop, self._limits = loop, limits
        self._silent, self._late = silent, late
        self.alarm = Alarm(loop)
        self._begin()

    def again(self) -> None:
        """A tunnel was granted: its first bytes have their own times."""
        self.pause()
        self._begin()

    def _begin(self) -> None:
        limits = self._limits
        self._grace = self._loop.after(limits.grace_s, self._silent)
        self.alarm.set(limits.first_bytes_s, self._late)
        self._heard = False

    def patient(self) -> None:
        """Nobody is silent: these bytes come within a connection that spoke."""
        self._grace.cancel()

    def heard(self) -> None:
        """There are bytes: what they begin has its own time."""
        if not self._heard:
            self._heard = True
            self.alarm.set(self._limits.head_s, self._late)

    def resume(self, begun: bool) -> None:
        """Wait for the next request, which may have `begun`; nobody is silent then."""
        limits, self._heard = self._limits, begun
        self.alarm.set(limits.head_s if begun else limits.idle_http_s, self._late)

    def pause(self) -> None:
        """Nothing is called until `again` or `resume`."""
        self._grace.cancel()
        self.alarm.stop()

    def stop(self) -> None:
        """Nothing is called any more, and nobody held for that."""
        self._grace.cancel()
        self.alarm.close()
        self._silent = self._late = nothing
