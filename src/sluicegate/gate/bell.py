"""SHELL. What wakes the loop from another thread (eventfd(2), Linux 2.6.22)."""

from __future__ import annotations

import os
import threading


class Bell:
    """`fd` is readable after `ring`, until `heard`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # A thread that comes late must not write to whatever has the number by then.
        self._lock, self._closed = threading.Lock(), False

    def ring(self) -> None:
        """Wake the loop, from any thread; nothing after `close`."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self.fd, 1)

    def heard(self) -> bool:
        """Whether it rang since it was asked last."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self.fd)
