"""Known values in the name of a host, where no case is kept and dots stand anywhere. Pure.

Names are the same in any case (RFC 4343), and clients write them in small letters before they ask: of base64 no more is
left than which letters it had. And a label has 63 bytes at most, so whoever puts something longer there puts dots into
it. What is compared is without both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sluicegate.scan.known import MIN_VALUE_BYTES, alone
from sluicegate.scan.stream import Finding

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Folded:
    """`values` by name, to be looked for in names: as they are, backwards, in hex and in base64.

    No names are looked at in pieces: a value that is longer than a name is not found.
    """

    def __init__(self, values: Mapping[str, bytes]) -> None:
        # By their first bytes, so that a name is read once whatever their number.
        self._forms: dict[bytes, list[tuple[bytes, str, str]]] = {}
        for name, value in values.items():
            for encoding, text in _written(value):
                folded = fold(text)
                if len(folded) >= MIN_VALUE_BYTES:
                    key = folded[:MIN_VALUE_BYTES]
                    self._forms.setdefault(key, []).append((folded, name, encoding))

    def find(self, name: bytes) -> Finding | None:
        """The first that is in `name`; its offset is that in the folded text."""
        text = fold(name)
        for at in range(len(text) - MIN_VALUE_BYTES + 1):
            for form, found, encoding in self._forms.get(text[at : at + MIN_VALUE_BYTES], ()):
                if text.startswith(form, at):
                    return Finding(found, encoding, at + len(form))
        return None


def fold(text: bytes) -> bytes:
    """`text` in small letters (of ASCII alone) and without dots."""
    return text.lower().replace(b".", b"")


def _written(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", value
    yield "reversed", value[::-1]
    yield "hex", value.hex().encode()
    for before in range(3):
        text = alone(value, before)
        yield "base64", text
        yield "base64", text.translate(_URL_SAFE)
