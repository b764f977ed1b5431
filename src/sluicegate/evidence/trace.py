"""What the seal says of the run: the runtime-trace predicate, made from the record alone. Pure.

A verifier makes the same object from the record and compares, so the seal can claim nothing that the record does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.evidence.packet import Tally

# Rows of the network log. Destinations beyond that are in flows.jsonl, which is sealed too.
MAX_HOSTS = 100
MONITOR = "urn:sluicegate:gate:v1"
COMMAND = "urn:sluicegate:command:v1"


def trace(
    tally: Tally, opened: Mapping[str, object], policy_hash: str, nonce: str
) -> dict[str, object]:
    """The predicate of a run with this tally, open part of boundary.json, policy and run nonce."""
    command = opened.get("command")
    name = command.get("name") if isinstance(command, dict) else None
    hosts = (tally.domains or [])[:MAX_HOSTS]
    return {
        "monitor": {
            "type": MONITOR,
            "configSource": {
                "name": "policy.json",
                "digest": {"sha256": policy_hash.removeprefix("sha256:")},
            },
            # Decided and recorded before a byte leaves: not a log of what an observer saw in time.
            "tracePolicy": {"default": "deny", "synchronous": True},
        },
        "monitoredProcess": {
            "hostID": f"urn:sluicegate:run:{nonce}",
            "type": COMMAND,
            "event": str(name or "command"),
        },
        "monitorLog": {
            "network": [{"totals": dict(tally.totals)}, *({"hostname": h} for h in hosts)]
        },
    }


def commit(opened: Mapping[str, object]) -> str | None:
    """The workspace's commit when the run began, if it had one."""
    found = opened.get("commit")
    return found if isinstance(found, str) and found else None


def results(opened: Mapping[str, object]) -> dict[str, str]:
    """What became of every probe; one that is unknown where nothing was probed."""
    probe = opened.get("probe")
    found = probe.get("results") if isinstance(probe, dict) else None
    if not isinstance(found, dict) or not found:
        return {"probe": "unknown"}
    return {str(name): str(value) for name, value in found.items()}
