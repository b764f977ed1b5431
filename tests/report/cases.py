"""Cases for reports: of real packets, and of rows that no notary would sign, with hostile text in every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from sluicegate.report.told import Told, told
from sluicegate.report.verdict import Case
from sluicegate.verify import library, packet
from sluicegate.verify.packet import Level, Report
from sluicegate.verify.rows import Row, rows
from tests.evidence import made

TIME = "2026-01-02T03:04:05.123Z"
EVIL = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><![CDATA[",
    "\u2028\u2029\u202ereversed\u2066",
    "\x00\x07\x1b[31m\x9b",
    "\r\n::error::injected\n::add-mask::x",
    "  ::error::after spaces\n \t::add-mask::x",
    "##[add-mask]x##[group]",
    "%0A::set-env",
    "a|b|c `code` ``` ~~~",
    "[x](javascript:1) ![y](http://h/z) <img src=x onerror=1>",
    "@octocat #1 :smile: $$x$$ www.h.example http://h.example",
    "' onmouseover='alert(1)\" style=\"x",
    "&lt;script&gt; &#x3c; \\u003c",
    "\ud800 half",
    "- host: x\n```\n# out",
    "x" * 5000,
)
# What a hostile command, or a later format, could bring into any text.
hostile = st.one_of(
    st.sampled_from(EVIL),
    st.text(max_size=40),
    st.tuples(st.sampled_from(EVIL), st.text(max_size=10)).map("".join),
)

# Texts are tried in whole documents: a few dozen of them, however slow the machine.
anything = settings(deadline=None, max_examples=40)


def written(directory: Path, messages: Sequence[dict[str, Any]], *, honest: bool = True) -> Path:
    """A packet of `messages`, written below `directory`."""
    where = directory / "packet"
    where.mkdir()
    for name, data in made.files(directory, messages, honest=honest).items():
        (where / name).write_bytes(data)
    return where


def case(where: Path, *keys: bytes) -> Case:
    """The case of a packet on the disk."""
    report = library.examine(str(where), list(keys), packet.DEFAULT, {})
    found = told(rows(str(where), report)) if report.streams else None
    return Case(report, found, bool(keys))


def row(seq: int, text: str, verdict: str = "block", **facts: Any) -> Row:
    """A connection's row with `text` wherever one can stand."""
    holder = {
        "pid": 7,
        "start_ticks": 1,
        "exe": text,
        "exe_sha256": text,
        "cgroup": text,
        "ancestors": [],
    }
    flow = {
        "kind": "connection",
        "connection": seq,
        "client_port": 40_000,
        "address": text,
        "port": 443,
        "protocol": "https",
        "url": text,
        "rule": text,
        "reason": text,
        "remedy": text,
        "method": text,
        "path": text,
        "sni": text,
        "process": {"found": "exact", "holders": [holder], "uid": 1, "socket_cookie": "0" * 16},
    }
    record = {
        "verdict": verdict,
        "action_id": f"{seq}-{text}",
        "target": text,
        "timestamp": TIME,
        "chain_seq": seq,
        "pattern": text,
    }
    if verdict == "allow":
        record["decision_phase"] = "intent"
    return Row(seq, record, flow | facts)


def drops(seq: int, text: str) -> Row:
    """A row of refused packets."""
    groups = [{"protocol": text, "destination": text, "port": 9, "count": 3}]
    record = {
        "verdict": "block",
        "action_id": text,
        "target": text,
        "timestamp": TIME,
        "pattern": "refused-packet",
    }
    return Row(seq, record, {"kind": "drop", "groups": groups, "lost": 0})


def all_rows(text: str) -> list[Row]:
    """One row of each kind with `text` in it."""
    record = {
        "verdict": "block",
        "action_id": text,
        "target": text,
        "timestamp": text,
        "pattern": "refused-question",
    }
    question = {
        "name": text,
        "type": text,
        "via": "udp",
        "rcode": "REFUSED",
        "reason": text,
        "count": 2,
    }
    ended = row(
        3,
        text,
        "allow",
        outcome=text,
        bytes_up=5,
        bytes_down=6,
        duration_ms=7,
        peer=text,
        status=200,
    )
    ended.record["decision_phase"] = "outcome"  # type: ignore[index]
    return [
        row(1, text),
        row(2, text, "warn"),
        row(3, text, "allow", observed=True),
        ended,
        drops(4, text),
        Row(5, record, {"kind": "dns", "questions": [question]}),
        Row(6, record, {"kind": "overload", "count": 2, "limit": text}),
        Row(7, record, {"kind": "change", "changes": [{"what": text, "count": 1}]}),
    ]


def changed(*paths: str, flags: Sequence[str] = ("hook",), **more: Any) -> dict[str, Any]:
    """A workspace.json in which `paths` were added, each with `flags`."""
    after = {"type": "file", "mode": "0755", "size": 7, "sha256": "ab" * 32}
    changes = [
        {"tree": 0, "path": path, "change": "added", "flags": list(flags), "after": after}
        for path in paths
    ]
    return {
        "version": 1,
        "trees": [{"path": "/checkout", "kind": "workspace", "content": "stat", "entries": 9}],
        "changes": changes,
        "counts": {"added": len(paths), "deleted": 0, "mode": 0, "modified": 0},
        "flagged": dict.fromkeys(flags, len(paths)),
        "objects": {"added": 0, "deleted": 0},
        "unlisted": 0,
        "unhashed": 0,
        "unread": {"count": 0, "places": []},
        "gaps": [],
    } | more


def evil(text: str, state: str = "sound") -> Case:
    """A case with `text` everywhere. `state`: `sound`, or what fails."""
    reached = dict.fromkeys(Level, (True, text))
    if state == "INVALID":
        reached = dict.fromkeys(Level, (False, text))
    elif state != "sound":
        reached[Level(state)] = (False, text)
    outcome = packet.INVALID if state == "INVALID" else packet.VALID
    run = {"key": text, "agent_exit_code": text, "agent_identity": text, "completed_at": text}
    names = ("repository", "workflow", "run_id", "run_attempt", "ref", "sha")
    opened = {
        "command": {"name": text, "args": 3},
        "tier": text,
        "ci": dict.fromkeys(names, text),
        "identity": {"uid": text},
        "started_at": text,
        "kernel": text,
        "sluicegate": text,
        "commit": text,
        "plan": [[text, text, text], text],
        "withheld": [text],
        "probe": {
            "results": {text: "failed", "x": "passed"},
            "outcomes": {text: text},
            "captured": [text],
            "holes": [text],
        },
    }
    solved = {"kernel": {}, "record": {}, "derived": {}, "residual": {text: 3, "attempts": 0}}
    boundary = {"open": opened, "close": {"run": run, "equation": solved}}
    report = Report(
        outcome,
        reached,
        signer_key="ab" * 32,
        root=text,
        run_nonce=text,
        policy_hash=text,
        boundary=boundary,
        streams={"evidence.jsonl": "", "flows.jsonl": ""},
        workspace=_workspace(text),
    )
    return Case(report, told(all_rows(text)), pinned=True)


def _workspace(text: str) -> dict[str, Any]:
    outputs = {"given": [{"name": text}], "refused_count": 2}
    made_ = changed(text, unlisted=3, outputs=outputs)
    made_["trees"][0]["path"] = text
    link = {"type": "link", "target": text}
    made_["changes"].append(
        {"tree": 0, "path": text, "change": "mode", "flags": ["link-out"], "after": link}
    )
    made_["changes"].append({"tree": 0, "path": text, "change": "deleted", "flags": []})
    return made_


def of(given: Sequence[Row]) -> Case:
    """A sound case of these rows, of a run that changed nothing."""
    plain = evil("x")
    return replace(plain, report=replace(plain.report, workspace={}), told=told(given))


def empty() -> Told:
    """No rows."""
    return Told()
