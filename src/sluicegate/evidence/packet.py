"""packet.json: the Audit Packet v0 that the signed record supports, and nothing beyond it. Pure.

Every value comes from receipts (a `Tally`) or from boundary.json, which the record binds. So a verifier makes the
same bytes from the record and compares: no member of packet.json can be changed on its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from sluicegate import jcs

SCHEMA = "pipelock.audit_packet.v0"
TOTALS = ("allow", "block", "warn", "ask", "strip", "forward", "redirect", "other")
PROVIDERS = frozenset(["github_actions", "self_hosted", "local"])
# Beyond this the list of domains is left out: packet.json is read whole by its consumers.
MAX_DOMAINS = 4096
MAX_LISTED = 64  # targets of which it is remembered that their domain is listed; the rest are looked at each time
POSTURE = {
    "raw_socket_status": ("denied", "allowed", "unknown"),
    "docker_socket_status": ("denied", "masked", "allowed", "absent", "unknown"),
    "dns_udp_status": ("denied", "proxied", "allowed", "unknown"),
    "browser_proxy_status": ("forced", "advisory", "absent", "unknown"),
    "websocket_frame_scanning": ("explicit_ws_proxy_path_required", "always_on", "off"),
}
POSTURE_TEXT = {
    *("enforcement_mode", "runner_os", "runner_arch", "network_namespace", "agent_user"),
    *("host_user", "host_ip", "agent_ip", "proxy_url", "script_basename"),
}
POSTURE_NUMBER = {"agent_uid", "host_uid", "script_arg_count"}
RUN_TEXT = {
    *("agent_identity", "repository", "workflow", "run_id", "run_attempt", "ref", "sha"),
    *("completed_at", "provider"),
}
# What goes by these touches no host: it is the record's own, or never left.
_NO_DOMAIN = frozenset(["receipt_session", "boundary", "dns", "drop"])
_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::\d+)?(?:/|\Z)"
)


class PacketError(Exception):
    """The values do not make a valid packet."""


class Tally:
    """What packet.json counts, from records in order. Bounded: it grows with distinct domains only, to a limit."""

    __slots__ = ("_domains", "_listed", "last", "layers", "receipts", "totals", "transports")

    def __init__(self) -> None:
        self.receipts = 0
        self.totals = dict.fromkeys(TOTALS, 0)
        self.transports: dict[str, int] = {}
        self.layers: dict[str, int] = {}
        self.last = ""
        self._domains: set[str] = set()
        self._listed: set[str] = set()  # targets whose host is in there: most come again and again

    def add(self, record: Mapping[str, object]) -> None:
        """Count the action record of one receipt."""
        verdict, transport = str(record["verdict"]), str(record["transport"])
        self.receipts += 1
        self.last = str(record["timestamp"])
        self.totals[verdict if verdict in self.totals else "other"] += 1
        self.transports[transport] = self.transports.get(transport, 0) + 1
        layer = record.get("layer")
        if verdict == "block" and isinstance(layer, str) and layer:
            self.layers[layer] = self.layers.get(layer, 0) + 1
        target = str(record["target"])
        if target in self._listed or transport in _NO_DOMAIN or layer == "limit":
            return
        found = _HOST.match(target)
        if found and len(self._domains) <= MAX_DOMAINS:
            self._domains.add(found.group(1).lower())
            if len(self._listed) < MAX_LISTED:
                self._listed.add(target)

    @property
    def domains(self) -> list[str] | None:
        """The hosts that receipts name, sorted; None when they are too many to list."""
        return None if len(self._domains) > MAX_DOMAINS else sorted(self._domains)


def opening_digest(opened: Mapping[str, object]) -> str:
    """`sha256:` of the open part of boundary.json: what session_open binds as the measured posture."""
    return "sha256:" + hashlib.sha256(jcs.encode(dict(opened))).hexdigest()  # type: ignore[arg-type]


def boundary(opened: Mapping[str, object], closed: Mapping[str, object] | None) -> bytes:
    """boundary.json.

    `opened`: `tier`, `started_at`, `posture` (members of the packet's posture), and whatever else was measured
    or planned. `closed`: `counters` (name to integer), `run` (members of the packet's run, and `key`: "given" or
    "ephemeral"); None while the run has not ended.
    """
    whole: dict[str, object] = {"open": dict(opened)}
    if closed is not None:
        whole["close"] = dict(closed)
    return jcs.encode(whole) + b"\n"  # type: ignore[arg-type]


def packet(
    tally: Tally, measured: Mapping[str, object], policy_hash: str, root: str, signer_key: str
) -> bytes:
    """packet.json for the closed record that `tally` counted; `measured` is boundary.json's object.

    The verdict is `valid` where the key was given from outside the run, else `self_consistent_only`.

    Raises:
        PacketError: boundary.json lacks a member the packet needs, or has one of the wrong kind.
    """
    opened, closed = _object(measured, "open"), _object(measured, "close")
    run = dict(_object(closed, "run"))
    given = run.pop("key", None) == "given"
    run["started_at"] = _text(opened, "started_at")
    summary: dict[str, object] = {
        "receipt_count": tally.receipts,
        "totals": tally.totals,
        "transports": tally.transports,
        "layers": tally.layers,
    }
    if tally.domains is not None:
        summary["domains_touched"] = tally.domains
    whole: dict[str, object] = {
        "schema_version": SCHEMA,
        # Whole seconds, as the readers of the format expect.
        "generated_at": tally.last[:19] + "Z",
        "run": _run(run),
        "policy": {"policy_hashes": [policy_hash], "config_path": "policy.json"},
        "summary": summary,
        "verifier": {
            "verdict": "valid" if given else "self_consistent_only",
            "trusted": given,
            "receipt_count": tally.receipts,
            "final_seq": tally.receipts - 1,
            "root_hash": root,
            "signer_key": signer_key,
        },
        "posture": posture(_object(opened, "posture")),
        "artifacts": {
            "packet": "packet.json",
            "evidence": "evidence.jsonl",
            "verifier": "summary.md",
            "summary": "summary.md",
        },
    }
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _object(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder.get(name)
    if not isinstance(found, dict):
        raise PacketError(f"boundary.json has no {name}")
    return found


def _text(holder: Mapping[str, object], name: str) -> str:
    found = holder.get(name)
    if not isinstance(found, str) or not found:
        raise PacketError(f"{name} is not a text")
    return found


def _number(holder: Mapping[str, object], name: str, least: int) -> None:
    found = holder[name]
    if type(found) is not int or found < least:
        raise PacketError(f"{name} is not a number from {least}")


def _run(run: dict[str, object]) -> dict[str, object]:
    if unknown := run.keys() - RUN_TEXT - {"agent_exit_code", "started_at"}:
        raise PacketError(f"run has the unknown members {sorted(unknown)}")
    for name in {"agent_identity", "provider"} | (run.keys() & RUN_TEXT):
        _text(run, name)
    if run["provider"] not in PROVIDERS:
        raise PacketError("run's provider is none of the known")
    if "agent_exit_code" in run:
        _number(run, "agent_exit_code", -(2**31))
    return run


def posture(given: Mapping[str, object]) -> Mapping[str, object]:
    """`given`, after it was found to be as the schema has it.

    Raises:
        PacketError: it is not.
    """
    known = POSTURE.keys() | POSTURE_TEXT | POSTURE_NUMBER | {"unsupported_paths"}
    if unknown := given.keys() - known:
        raise PacketError(f"posture has the unknown members {sorted(unknown)}")
    for name, allowed in POSTURE.items():
        if given.get(name) not in allowed:
            raise PacketError(f"posture's {name} is none of {', '.join(allowed)}")
    for name in {"enforcement_mode", "runner_os"} | (given.keys() & POSTURE_TEXT):
        _text(given, name)
    for name in given.keys() & POSTURE_NUMBER:
        _number(given, name, 0)
    paths = given.get("unsupported_paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise PacketError("posture's unsupported_paths is not a list of texts")
    return given
