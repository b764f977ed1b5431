"""The decisions of a record that was verified, each with how it ended: what is judged again, and learnt from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from sluicegate.evidence import records
from sluicegate.policy import decide, normal
from sluicegate.policy.allowance import UPLOAD, UPLOAD_PER_HOST
from sluicegate.policy.model import Policy, PolicyError
from sluicegate.policy.seen import Fate, Seen
from sluicegate.verify import files, stated
from sluicegate.verify.redecide import CERTIFICATE
from sluicegate.verify.rows import Row
from sluicegate.verify.strict import VerificationError, need

# Denials of what had begun: its outcome says that it was refused.
_AFTER = frozenset((UPLOAD, UPLOAD_PER_HOST, records.SECRET, CERTIFICATE, "internal-address"))
_SAME = ("connection", "client_port", "protocol", "method", "path")
_REFUSED = "refused: "


class Examined(Protocol):
    """What verifying a packet gave, as far as its policies go."""

    @property
    def policy_hash(self) -> str:
        """As every receipt has it."""


def policies(path: str, examined: Examined) -> tuple[Policy, ...]:
    """The policies of the packet in the directory `path`, of which `examined` is what verifying it gave.

    Raises:
        VerificationError: policy.json is another one by now.
        OSError: it can not be read.
    """
    with files.packet(path) as found:
        data = found.get("policy.json")
    need(isinstance(data, bytes), "policy.json is missing")
    text = data if isinstance(data, bytes) else b""
    digest = "sha256:" + hashlib.sha256(text).hexdigest()
    need(digest == examined.policy_hash, "policy.json changed since it was verified")
    try:
        return normal.read(text)
    except PolicyError as error:
        raise VerificationError(f"policy.json: {error.message}") from error


def seen(rows: Iterable[Row], policies: tuple[Policy, ...]) -> Iterator[Seen]:
    """The decisions among `rows` of a record under `policies`, each when its end is known.

    What is held is what is open at once.
    """
    named = decide.named(policies)
    waiting: dict[str, Row] = {}
    # Of what is open: connection, port, request -> how many, and the rule of a denial in the midst.
    begun = Counter[tuple[object, ...]]()
    barred = dict[tuple[object, ...], str]()
    for row in rows:
        key = tuple(map(row.facts.get, _SAME))
        if row.ends:
            first = waiting.pop(str(row.record["action_id"]), None)
            if first is not None:
                begun[key] -= 1
                if not begun[key]:
                    del begun[key]
                yield _seen(first, row.facts, named, barred.pop(key, "refused"))
        elif row.begins and row.record.get("decision_phase") == "intent":
            waiting[str(row.record["action_id"])] = row
            begun[key] += 1
        elif row.begins and row.facts["rule"] in _AFTER and begun[key]:
            barred[key] = str(row.facts["rule"])  # the outcome of what had begun tells it
        elif row.begins:
            yield _seen(row, {}, named)
    for row in waiting.values():
        yield _seen(row, {}, named)


def _seen(
    row: Row,
    end: Mapping[str, object],
    named: tuple[frozenset[str], frozenset[str]],
    barred: str = "",
) -> Seen:
    flow = row.facts
    what = f"receipt {row.seq}"
    told = stated.outcome(end, what) if end else records.Outcome("")
    fate = Fate.OBSERVED if "observed" in flow else Fate.ALLOWED
    rule, reason = str(flow["rule"]), str(flow["reason"])
    if row.record["verdict"] == "block":
        fate = Fate.DENIED
    elif told.reason.startswith(_REFUSED):
        fate, rule, reason = Fate.CUT, barred, told.reason.removeprefix(_REFUSED)
    return Seen(
        row.seq,
        stated.read(flow, what),
        fate,
        rule,
        reason,
        named,
        opened="opened" in flow,
        asked="asked" in flow,
        program=_program(flow),
        addresses=told.addresses or stated.addresses(flow, what),
        peer=told.peer,
        up=told.bytes_up,
        down=told.bytes_down,
    )


def _program(flow: Mapping[str, object]) -> str:
    """The path of the program that had the socket; of several, the first."""
    found = flow.get("process")
    holders = found.get("holders") if isinstance(found, dict) else None
    first = holders[0] if isinstance(holders, list) and holders else {}
    return str(first.get("exe", ""))
