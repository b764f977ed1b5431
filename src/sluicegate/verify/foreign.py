"""A packet of another producer: packet.json and its chain, with nothing that binds the one to the other. Pure.

Source: the published Audit Packet v0, its schema, its invariants and the cross-checks of its own verifiers. What they
leave to the reader (policy hashes, transports, layers) is checked against the chain too: the producer counts it there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sluicegate.evidence import packet as audit
from sluicegate.verify import bare, strict
from sluicegate.verify.packet import DEFAULT, INVALID, Level, Report, refused
from sluicegate.verify.source import Source
from sluicegate.verify.strict import need

WHAT = "packet.json"
# The files of ours that no other producer writes: with one of them a directory is read as ours.
OURS = frozenset(
    [
        *("flows.jsonl", "policy.json", "boundary.json", "checkpoint", "seal.sigstore.json"),
        "probes.sigstore.json",
    ]
)
VERDICTS = ("valid", "invalid", "error", "not_run", "self_consistent_only")
# Of a chain that holds, these say that it does not.
DENYING = ("invalid", "error")
_REQUIRED = {
    "schema_version",
    *("generated_at", "run", "policy", "summary", "verifier", "posture", "artifacts"),
}
_OPTIONAL = {"packet_id", "receipts", "scanner_config_snapshot"}
_RECEIPT = {
    *("action_id", "receipt_hash", "chain_seq", "chain_prev_hash", "verdict", "policy_hash"),
}
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z", re.IGNORECASE | re.ASCII
)


def verify(
    evidence: bytes | Source,
    claimed: bytes,
    keys: Sequence[bytes],
    require: Sequence[Level] = DEFAULT,
    expect: Mapping[str, str] | None = None,
) -> Report:
    """The report on the chain `evidence` and the packet.json `claimed` that came with it.

    A record of ours is refused: what binds it was taken away.
    """
    seen = _Seen()
    report = bare.verify(evidence, keys, require, expect, told=seen.add)
    try:
        need(not seen.ours, f"{seen.ours}: a record of sluicegate, whose other files are missing")
        if report.outcome == INVALID and not report.receipts:
            return report
        found = strict.value(claimed, WHAT)
        _shape(found)
        _agrees(found, report, seen.policies)
    except strict.VerificationError as error:
        return refused(str(error))
    ok, why = report.reached[Level.INTACT]
    why += "; packet.json says the same, but nobody signed it: not sealed, no facts"
    return replace(report, reached={**report.reached, Level.INTACT: (ok, why)})


class _Seen:
    """What the chain's records say beyond what a report keeps. Policies are few: each run of a producer has one."""

    def __init__(self) -> None:
        self.policies: set[str] = set()
        self.ours = ""

    def add(self, record: Mapping[str, object]) -> None:
        self.policies.add(str(record["policy_hash"]))
        facts = strict.HASH.match(str(record.get("request_id", "")))
        if not self.ours and (facts or record["actor"] == "sluicegate"):
            self.ours = f"receipt {record['chain_seq']}"


def _agrees(found: Mapping[str, object], report: Report, policies: set[str]) -> None:
    summary, said = _object(found, "summary"), _object(found, "verifier")
    tally = report.tally
    need(summary["receipt_count"] == report.receipts, f"{WHAT}: receipt_count is not the chain's")
    need(strict.same(summary["totals"], tally.totals), f"{WHAT}: totals are not the chain's")
    for name, counted in (("transports", tally.transports), ("layers", tally.layers)):
        need(
            name not in summary or strict.same(summary[name], counted),
            f"{WHAT}: {name} are not the chain's",
        )
    hashes = _object(found, "policy")["policy_hashes"]
    need(hashes == sorted(policies), f"{WHAT}: policy_hashes are not the chain's")
    known = {
        "receipt_count": report.receipts,
        "final_seq": report.last_seq,
        "root_hash": report.root,
        "signer_key": report.signer_key,
    }
    for name, value in known.items():
        need(name not in said or said[name] == value, f"{WHAT}: {name} is not the chain's")
    verdict = said["verdict"]
    need(verdict not in DENYING, f"{WHAT}: its verdict is {verdict}, but the chain holds")


def _shape(found: Mapping[str, object]) -> None:
    need(_REQUIRED <= found.keys() <= _REQUIRED | _OPTIONAL, f"{WHAT}: the members of a packet")
    need(found["schema_version"] == audit.SCHEMA, f"{WHAT}: not {audit.SCHEMA}")
    _date(found, "generated_at", "")
    _run(_object(found, "run"))
    policy = _object(found, "policy")
    texts = {"config_path", "runtime_config_path", "config_snapshot_sha256"}
    _members(policy, {"policy_hashes"}, texts, "policy")
    hashes = _texts(policy["policy_hashes"], "policy_hashes")
    need(hashes == sorted(set(hashes)), f"{WHAT}: policy_hashes are not sorted, or not unique")
    _summary(_object(found, "summary"))
    _verifier(_object(found, "verifier"))
    try:
        audit.posture(_object(found, "posture"))
    except audit.PacketError as error:
        raise strict.VerificationError(f"{WHAT}: {error}") from error
    _artifacts(_object(found, "artifacts"))
    inline = found.get("receipts", [])
    need(isinstance(inline, list), f"{WHAT}: receipts is not a list")
    for entry in inline if isinstance(inline, list) else []:
        one = strict.mapping(entry, f"{WHAT}: receipts")
        need(one.keys() >= _RECEIPT, f"{WHAT}: an inline receipt lacks a member")


def _run(run: Mapping[str, object]) -> None:
    texts = audit.RUN_TEXT - {"provider", "agent_identity", "completed_at"}
    _members(
        run,
        {"provider", "agent_identity", "started_at"},
        texts | {"completed_at", "agent_exit_code"},
        "run",
    )
    need(run["provider"] in audit.PROVIDERS, f"{WHAT}: run: provider")
    need(strict.text(run["agent_identity"], f"{WHAT}: agent_identity"), f"{WHAT}: agent_identity")
    for name in texts & run.keys():
        strict.text(run[name], f"{WHAT}: run: {name}")
    _date(run, "started_at", "run: ")
    if "completed_at" in run:
        _date(run, "completed_at", "run: ")
    need(type(run.get("agent_exit_code", 0)) is int, f"{WHAT}: run: agent_exit_code")


def _summary(summary: Mapping[str, object]) -> None:
    optional = {"transports", "layers", "domains_touched"}
    _members(summary, {"receipt_count", "totals"}, optional, "summary")
    count = strict.count(summary["receipt_count"], f"{WHAT}: receipt_count")
    totals = strict.mapping(summary["totals"], f"{WHAT}: totals")
    _members(totals, set(audit.TOTALS), set(), "totals")
    counted = sum(strict.count(totals[name], f"{WHAT}: {name}") for name in audit.TOTALS)
    need(counted == count, f"{WHAT}: the totals do not add up to receipt_count")
    for name in ("transports", "layers"):
        for key, value in strict.mapping(summary.get(name, {}), f"{WHAT}: {name}").items():
            strict.count(value, f"{WHAT}: {name}: {key!a}")
    domains = _texts(summary.get("domains_touched", []), "domains_touched")
    need(domains == sorted(set(domains)), f"{WHAT}: domains_touched: not sorted, or not unique")


def _verifier(said: Mapping[str, object]) -> None:
    texts = {"root_hash", "signer_key", "output_file", "error"}
    _members(said, {"verdict", "trusted"}, texts | {"receipt_count", "final_seq"}, "verifier")
    verdict, trusted = said["verdict"], said["trusted"]
    need(verdict in VERDICTS, f"{WHAT}: verifier: unknown verdict")
    need(type(trusted) is bool, f"{WHAT}: verifier: trusted is not a boolean")
    for name in texts & said.keys():
        strict.text(said[name], f"{WHAT}: verifier: {name}")
    need(said.get("signer_key", "-"), f"{WHAT}: verifier: signer_key is empty")
    for name in {"receipt_count", "final_seq"} & said.keys():
        strict.count(said[name], f"{WHAT}: verifier: {name}")
    need(
        trusted is (verdict == "valid"),
        f"{WHAT}: verifier: trusted is for valid, and valid for trusted",
    )
    need(
        verdict != "valid" or "signer_key" in said, f"{WHAT}: verifier: valid without a signer_key"
    )
    need(
        verdict not in {"error", "not_run"} or "signer_key" not in said,
        f"{WHAT}: verifier: a signer_key where nothing was verified",
    )


def _artifacts(artifacts: Mapping[str, object]) -> None:
    _members(artifacts, {"packet", "evidence", "verifier"}, {"summary"}, "artifacts")
    for name, found in artifacts.items():
        path = strict.text(found, f"{WHAT}: artifacts: {name}")
        good = path and path != "." and not path.startswith("/") and not set(path) & {":", "\\"}
        need(good and ".." not in path.split("/"), f"{WHAT}: artifacts: {name} leads elsewhere")
    # The file that was verified must be the one that the packet means.
    need(artifacts["evidence"] == "evidence.jsonl", f"{WHAT}: its evidence is another file")


def _object(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    return strict.mapping(holder.get(name), f"{WHAT}: {name}")


def _members(
    found: Mapping[str, object], required: set[str], optional: set[str], what: str
) -> None:
    need(required <= found.keys() <= required | optional, f"{WHAT}: the members of {what}")


def _texts(found: object, what: str) -> list[str]:
    if not isinstance(found, list):
        raise strict.VerificationError(f"{WHAT}: {what} is not a list")
    return [strict.text(item, f"{WHAT}: {what}") for item in found]


def _date(holder: Mapping[str, object], name: str, what: str) -> None:
    said = strict.text(holder[name], f"{WHAT}: {what}{name}")
    need(_DATE_TIME.match(said), f"{WHAT}: {what}{name} is no time")
