"""Rows as lines of a policy, each with its source as a comment. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from sluicegate.policy.presets import Row
from sluicegate.wire import names

# What YAML takes for text whatever it says.
_PLAIN = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9_-]+)+")


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """The items of `allow` that say the same as `rows`; a source is named once for what follows it."""
    source = ""
    for row in rows:
        if row.source != source:
            source = row.source
            yield f"  # {shown(source)}"
        yield from _rule(row)


def shown(text: str) -> str:
    """`text` on one line of a comment: what is not printable ASCII is escaped."""
    return json.dumps(text)[1:-1].replace("\\\\", "\\")


def _rule(row: Row) -> Iterator[str]:
    key = "ip" if names.is_address(row.host) else "host"
    yield f"  - {key}: {row.host if _PLAIN.fullmatch(row.host) or key == 'ip' else json.dumps(row.host)}"
    yield f"    ports: [{', '.join(map(str, row.ports))}]"
    if row.methods:
        yield f"    methods: [{', '.join(row.methods)}]"
    if row.paths:
        yield f"    paths: {_list(row.paths)}"
    if row.query:
        pairs = (f"{name}: {json.dumps(value)}" for name, value in row.query)
        yield f"    query: {{{', '.join(pairs)}}}"


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(json.dumps(text) for text in texts)}]"
