from __future__ import annotations

import pytest

from sluicegate.policy.presets import Row
from sluicegate.presets.found import Found, Note, joined, seen


def test_nothing_is_there_twice() -> None:
    row, note = Row("a.example", "s"), Note("m", "h")
    assert joined([Found((row,), (note,)), Found((row, Row("b.example", "s")), (note,))]) == Found(
        (row, Row("b.example", "s")), (note,)
    )


@pytest.mark.parametrize("url", ["", "/opt/wheels", "file:///x", "ssh://git@h.example/x"])
def test_what_is_of_the_machine_itself_does_not_matter(url: str) -> None:
    assert seen(url, "s") == (None, ())


@pytest.mark.parametrize(
    "url", ["https://u:secret@h..example/", "http://%/", "sparse+https://:secret@/"]
)
def test_a_url_that_is_not_understood_is_told_but_not_shown(url: str) -> None:
    at, notes = seen(url, "/etc/pip.conf")
    assert at is None
    assert notes[0].message == "/etc/pip.conf names a URL that is not understood"
    assert "secret" not in str(notes)


def test_tls_to_a_bare_address_is_told() -> None:
    at, notes = seen("https://u:secret@10.1.2.3:8443/x", "s")
    assert at is None
    assert "10.1.2.3, which is never opened" in notes[0].message
    assert "ports: [8443]" in notes[0].hint
    assert "secret" not in str(notes)
