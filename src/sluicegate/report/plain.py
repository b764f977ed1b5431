"""A case as one JSON object, for programs that need more than `verify --json`: totals, and who talked to whom. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict

from sluicegate.report.summary import ranked
from sluicegate.report.told import Told
from sluicegate.report.verdict import Case, State
from sluicegate.report.workspace import flagged

# Members are added, never renamed, while this stays the same.
SCHEMA = "sluicegate.report.v0"


def plain(case: Case) -> str:
    """The object's text, on one line."""
    report, told = case.report, case.told
    whole: dict[str, object] = {
        "schema": SCHEMA,
        "sound": case.sound,
        "state": case.state.name.lower(),
        "verdict": case.state.value,
        "levels": {
            level.value: {"reached": ok, "reason": why}
            for level, (ok, why) in report.reached.items()
        },
        "reservations": list(case.reservations),
        "receipts": report.receipts,
        "root": report.root,
        "signer_key": report.signer_key,
        "run_nonce": report.run_nonce,
        "policy_hash": report.policy_hash,
    }
    if told is not None and case.state is not State.INVALID:
        whole |= _rows(told)
        # As it is in the packet but for the list of all changes, which stands there.
        known = ((name, found) for name, found in case.workspace.items() if name != "changes")
        whole["workspace"] = dict(known) | {
            "to_look_at": list(map(asdict, flagged(case.workspace)))
        }
    return json.dumps(whole, sort_keys=True).replace("##[", "#\\u0023[") + "\n"


def _rows(told: Told) -> dict[str, object]:
    return {
        "first": told.first,
        "last": told.last,
        "requests": told.requests,
        "total": asdict(told.total),
        "denials": [{**asdict(denial), **asdict(denied)} for denial, denied in ranked(told)],
        "destinations": [
            {
                "where": where,
                **asdict(held.count),
                "methods": held.methods,
                "protocols": sorted(held.protocols),
                "failed": held.failed,
            }
            for where, held in sorted(told.destinations.items())
        ],
        "programs": [
            {
                "program": name,
                **asdict(held.count),
                "sha256": sorted(held.digests),
                "destinations": len(held.destinations),
                "shared": held.shared,
            }
            for name, held in sorted(told.programs.items())
        ],
        "unlisted": told.unlisted,
    }
