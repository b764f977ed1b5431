"""Random counters, and facts changed at random and signed again: both verifiers say the same of each."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import counts, equation, records
from sluicegate.facts import Facts, Protocol
from sluicegate.jcs import Json
from sluicegate.policy.decide import decide
from sluicegate.verify.packet import INVALID, UNTRUSTED, VALID
from tests.evidence import made
from tests.fuzz import scripts, targets
from tests.peers.second import Case, agree
from tests.peers.test_js_decisions import called
from tests.vectors import recipes, runs

SEED = 20_260_103
FLOWS = "flows.jsonl"
WORDS = (
    *("allow[0] made", "allow[1] made", "deny[0] made", "allow[0]", "default", "mismatch", "fault"),
    *("a.example", "b.example", "w.example", "198.18.0.9", "198.18.0.1", "10.0.0.1", "::1", "tls"),
    *("http", "opaque", "direct", "connect", "GET", "complete", "udp", "tcp", "bound", "", "A"),
    *("no rule allows a.example port 443", "b.example port 443 is allowed", "- host: a.example"),
)
VALUES: tuple[object, ...] = (
    *WORDS,
    *(0, 1, 2, 3, 4, 7, 22, 80, 443, 40_000, 65_535, 65_536, 2**53 - 1, -1, True, False, None),
    *([], {}, ["192.0.2.9"], ["10.0.0.1"], ["192.0.2.9", "10.0.0.1"], ["x"], [1]),
)
NAMES = (
    *(
        "addresses",
        "asked",
        "ech",
        "observed",
        "status",
        "peer",
        "remedy",
        "host",
        "host_port",
        "sni",
    ),
    *(
        "target",
        "target_port",
        "path",
        "query_bytes",
        "method",
        "fault",
        "lost",
        "note",
        "synthetic",
    ),
)


def test_the_equation_of_any_counters(tmp_path: Path) -> None:
    dice, calls, wanted = random.Random(SEED), [], []
    sizes = (0, 1, 2, 3, 5, 100, 70_000, 2**31, 2**53 - 1)
    names = [field.name for field in dataclasses.fields(equation.Held)]
    for _ in range(2_000):
        most = dice.choice((2, 4, 6, len(sizes)))
        risen = {name: dice.choice(sizes[:most]) for name in equation.COUNTERS}
        held = {name: dice.choice(sizes[:most]) for name in names}
        gate = {name: dice.choice(sizes[:most]) for name in ("bytes_up", "bytes_down")}
        solved = equation.solved(risen, equation.Held(**held), gate)
        calls.append(["solved", *({n: str(v) for n, v in side.items()} for side in (risen, held))])
        calls[-1].append({n: str(v) for n, v in (gate | {"dns_tcp": held["dns_tcp"]}).items()})
        wanted.append(
            {part: {n: str(v) for n, v in dict(terms).items()} for part, terms in solved.items()}  # type: ignore[call-overload]
        )
    for call, ours, theirs in zip(calls, called(calls, tmp_path), wanted, strict=True):
        assert ours == theirs, call
    open_lines = Counter(
        name for one in wanted for name, value in one["residual"].items() if value != "0"
    )
    assert open_lines.keys() == wanted[0]["residual"].keys()


def lie(dice: random.Random, files: runs.Files) -> list[dict[str, Any]]:
    """One or two members of facts or of a receipt that are not what they were."""
    edits = list[dict[str, Any]]()
    lines = [json.loads(line) for line in files[FLOWS].splitlines()]
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(len(lines) - 1)
        steps, holder = [""], lines[at]
        groups = next((n for n in ("groups", "questions") if n in holder), None)
        if groups is not None and dice.random() < 0.7:
            steps += [groups, "0"]
            holder = holder[groups][0]
        name = dice.choice([*holder, *holder, *NAMES])
        path, value = "/".join([*steps, name]), dice.choice(VALUES)
        if name in holder and dice.random() < 0.2:
            edits.append({"do": "unset", "file": FLOWS, "line": at, "path": path})
        elif holder.get(name) != value or type(holder.get(name)) is not type(value):
            edits.append({"do": "set", "file": FLOWS, "line": at, "path": path, "value": value})
    signed: dict[str, Any] = {"do": "sign"}
    if dice.random() < 0.3:
        name = dice.choice(("verdict", "target", "transport", "layer", "pattern", "method"))
        line = dice.choice(("drop", "dns", "block", "intent", "outcome"))
        said = dice.choice(("allow", "block", "warn", "default", "forward", "tls://b.example:443"))
        told = {"do": "set", "line": line, "path": f"/{name}", "value": said}
        signed["receipts"] = [told]
    return [*edits, signed, {"do": "finish"}]


def test_facts_changed_and_signed_again(tmp_path: Path) -> None:
    dice, bases, cases = random.Random(SEED), runs.bases(tmp_path), list[Case]()
    for number in range(250):
        edits = lie(dice, bases["whole"])
        try:
            files = recipes.edited(edits, bases)
        except (AssertionError, KeyError, TypeError, ValueError):
            continue  # nothing was changed, or what was made of it has no form at all
        cases.append(Case(f"{number}: {edits}", files))
    (tmp_path / "work").mkdir()
    outcomes = Counter(agree(cases, tmp_path / "work"))
    assert outcomes[INVALID] > 100
    assert outcomes[INVALID] + outcomes[UNTRUSTED] + outcomes[VALID] == len(cases) > 150


def test_packets_changed_by_somebody_without_a_key(tmp_path: Path) -> None:
    dice, bases = random.Random(SEED), targets.bases()
    cases = [Case("whole", bases["whole"])]
    for number in range(250):
        changed = scripts.changed(dice.randbytes(dice.choice((5, 9, 20))), bases)
        # Without it there is nothing that could be read, and no file is without a name.
        if "evidence.jsonl" in changed and all(changed):
            cases.append(Case(f"script {number}", changed))
    outcomes = agree(cases, tmp_path)
    assert outcomes[0] == VALID
    assert Counter(outcomes)[INVALID] > 150


def command(name: str) -> dict[str, object]:
    return {"name": name, "args": 2, "argv_sha256": "0" * 64}


def test_pages_of_runs_with_much_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed of holes, changes and denials is the same to the byte: else the packet would be refused."""
    refused = [{**counts.overload(3, "record", made.action(5))}]
    refused.append({**counts.overload(2, "connections", made.action(6))})
    client, ssh = records.Client(9, 4000), Facts(Protocol.SERVER_FIRST, "192.0.2.7", 22)
    bare = {**records.decision(client, ssh, decide(made.POLICIES, ssh), made.action(9))}
    # More than a page lists, some of them twice.
    flows = [made.message(n, f"h{n % 70}.example") for n in range(20, 100)]
    many = [*made.some(), *refused, bare, made.message(10, "w.example"), *flows]
    what: list[dict[str, Json]] = [{"what": "new `link`", "count": 2}, {"what": "x", "count": 1}]
    changed = {**counts.changes(what, made.action(200))}
    calls = (
        "bpf",
        "ptrace",
        "keyctl",
        "mount",
        "setns",
        "userfaultfd",
        "perf_event_open",
        "clone3",
    )
    holes = dict.fromkeys((f"call {name}" for name in calls), "open")
    holes |= {"read hidden": "/a/<b>`c` caf\u00e9", "write root": "open", "links": "lo eth0"}
    plan = [["net namespace", "net:[1]", "done"]] * 2
    network = made.NETWORK | {"links": ["lo", "eth0"]}
    told: dict[str, tuple[list[dict[str, object]], dict[str, object], dict[str, object]]] = {
        "quiet": ([], {"plan": plan}, {"key": "ephemeral"}),
        "holes": (many, {**made.probed(holes), "command": command("a" * 400)}, {}),
        "few": (
            made.some(),
            {**made.probed({"write root": "open"}), "command": command("`*`")},
            {},
        ),
        "changed": ([*many, changed], {"command": command("caf \\xe9 <b>")}, {}),
        "network": (many, {"network": network}, {"key": "ephemeral"}),
    }
    cases = list[Case]()
    for name, (messages, opened, run) in told.items():
        closed = made.CLOSED | {"run": dict(made.CLOSED["run"]) | run}  # type: ignore[call-overload]
        if name == "network":
            closed |= {"network": network | {"links": ["lo"], "generation": 3}}
        with monkeypatch.context() as patched:
            patched.setattr(made, "OPENED", made.OPENED | opened)
            patched.setattr(made, "CLOSED", closed)
            (tmp_path / name).mkdir()
            sound = name not in {"changed", "network"}
            cases.append(Case(name, made.files(tmp_path / name, messages, honest=sound)))
    (tmp_path / "work").mkdir()
    outcomes = agree(cases, tmp_path / "work")
    assert outcomes == [VALID, VALID, VALID, UNTRUSTED, UNTRUSTED]
