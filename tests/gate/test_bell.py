import os
import select
import threading

import pytest

from sluicegate.gate.bell import Bell


def test_another_thread_is_heard_once() -> None:
    bell = Bell()
    assert not bell.heard()
    thread = threading.Thread(target=bell.ring)
    thread.start()
    poll = select.poll()
    poll.register(bell.fd, select.POLLIN)
    assert poll.poll(10_000)
    thread.join()
    assert bell.heard()
    assert not bell.heard()
    bell.close()


def test_who_rings_too_late_writes_to_nobody() -> None:
    bell = Bell()
    bell.close()
    other = os.eventfd(0, os.EFD_NONBLOCK)
    assert other == bell.fd
    bell.ring()
    with pytest.raises(BlockingIOError):
        os.eventfd_read(other)
    os.close(other)
