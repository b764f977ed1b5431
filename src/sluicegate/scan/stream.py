"""Findings in a stream of bytes that arrives in pieces of any size. Pure, in constant memory.

One `Patterns` serves all streams of a run; one `Stream` looks at one direction of one of them. All are for one thread.
Matching is Hyperscan's in its streaming mode: a stream's state is some hundred bytes, whatever has passed. What is
looked for comes as `Sought`; another kind of pattern set is another maker of those.

Source: Hyperscan developer's reference, "Streaming Mode".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.scan.known import MIN_VALUE_BYTES, Sought, literally, sought

if TYPE_CHECKING:
    import hyperscan

NONE: Mapping[str, bytes] = {}
Tag = tuple[Sought, int]  # one part, by its number, of something looked for


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` was seen in `encoding`; `offset` counts the bytes of the stream up to its end."""

    name: str
    encoding: str
    offset: int


class Patterns:
    """Known values, ready to be looked for: `short` names those of under MIN_VALUE_BYTES, which are not.

    `values` are looked for in every encoding, `literal` as they are, backwards, in hex, and in base64 on one line.
    """

    def __init__(self, values: Mapping[str, bytes], literal: Mapping[str, bytes] = NONE) -> None:
        both = ((sought, values), (literally, literal))
        named = [(make, name, value) for make, some in both for name, value in some.items()]
        long = [one for one in named if len(one[2]) >= MIN_VALUE_BYTES]
        self.short = tuple(name for _, name, value in named if len(value) < MIN_VALUE_BYTES)
        self._tags: list[Tag] = []
        self._database: hyperscan.Database | None = None
        if long:
            self._compile(one for make, name, value in long for one in make(name, value))

    def stream(self) -> Stream:
        """A look at one direction of one stream, from its first byte."""
        return Stream(self._database, self._tags)

    def _compile(self, all_: Iterable[Sought]) -> None:
        import hyperscan as hs  # most runs have no secret

        self._tags = [(one, number) for one in all_ for number in range(len(one.parts))]
        self._database = hs.Database(mode=hs.HS_MODE_STREAM)
        self._database.compile(
            expressions=[one.parts[number] for one, number in self._tags],
            ids=range(len(self._tags)),
            # Each part is told once a stream: else a value sent again and again would make hits without end.
            flags=hs.HS_FLAG_SINGLEMATCH,
        )


class Stream:
    """One direction of one stream; it says each name in each encoding once, at the first time."""

    def __init__(self, database: hyperscan.Database | None, tags: Sequence[Tag]) -> None:
        self._tags = tags
        self._seen: dict[Sought, int] = {}
        self._said: set[tuple[str, str]] = set()
        self._over = False
        hits = self._hits = list[tuple[int, int]]()
        # The engine's binding counts no references to what it is given: database and callback are kept here as long
        # as its stream, which is entered once, for that gives back the reference that was one too many.
        self._database = database
        self._on_hit = lambda number, _begin, end, _flags, _context: hits.append((end, number))
        self._engine: hyperscan.Stream | None = None
        if database is not None:
            self._engine = database.stream(match_event_handler=self._on_hit)
            self._engine.__enter__()

    def __del__(self) -> None:
        self.finish()

    def feed(self, data: bytes) -> list[Finding]:
        """What has become a finding with `data`, the stream's next bytes, in order of offset.

        Raises:
            RuntimeError: the stream is finished.
        """
        if self._over:
            raise RuntimeError("a finished stream was fed")
        if self._engine is not None and len(data):
            self._engine.scan(data, match_event_handler=self._on_hit)
        return self._findings() if self._hits else []

    def finish(self) -> list[Finding]:
        """What the stream's end has made a finding; frees the engine's memory. The second time, nothing."""
        self._over = True
        if self._engine is not None:
            self._engine.close(match_event_handler=self._on_hit)
            self._engine = None
        return self._findings()

    def _findings(self) -> list[Finding]:
        whole: list[Finding] = []
        for end, number in sorted(self._hits):
            one, part = self._tags[number]
            self._seen[one] = self._seen.get(one, 0) | 1 << part
            if self._seen[one] == (1 << len(one.parts)) - 1:
                whole.append(Finding(one.name, one.encoding, end))
        self._hits.clear()
        findings = []
        for finding in whole:
            # A value without any escape is one of its escaped forms, too.
            plain = Finding(finding.name, "plain", finding.offset)
            known = finding.encoding == "escaped" and plain in whole
            if not known and (finding.name, finding.encoding) not in self._said:
                self._said.add((finding.name, finding.encoding))
                findings.append(finding)
        return findings
