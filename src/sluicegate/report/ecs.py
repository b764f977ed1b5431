"""Rows in the Elastic Common Schema, a JSON line each. Pure. Source: ECS 8.17, field reference."""

from __future__ import annotations

import ipaddress

from sluicegate import __version__
from sluicegate.report.flow import Flow, flows, line
from sluicegate.verify.packet import Report
from sluicegate.verify.rows import Row

VERSION = "8.17.0"
MILLISECOND = 1_000_000  # nanoseconds, as ECS counts durations


class Ecs:
    """Makes the documents of one record."""

    def __init__(self, report: Report) -> None:
        self._nonce, self._policy, self._signer = (
            report.run_nonce,
            report.policy_hash,
            report.signer_key,
        )

    def lines(self, row: Row) -> str:
        """The lines of one row; empty for one of the lifecycle."""
        return "".join(line(self._document(flow)) for flow in flows(row))

    def _document(self, flow: Flow) -> dict[str, object]:
        record = flow.row.record
        return {
            "@timestamp": str(record.get("timestamp", "")),
            "ecs": {"version": VERSION},
            "message": f"{flow.verdict} {flow.url or flow.host}: {flow.reason}",
            "event": _event(flow),
            "observer": {
                "vendor": "sluicegate",
                "product": "sluicegate",
                "type": "firewall",
                "version": __version__,
            },
            "source": {"port": flow.number("client_port"), "bytes": flow.up},
            "destination": {
                **_address(flow),
                "address": flow.host,
                "port": flow.port,
                "bytes": flow.down,
            },
            "network": {
                "direction": "egress",
                "transport": flow.transport,
                "protocol": flow.word,
                "bytes": None if flow.up is None or flow.down is None else flow.up + flow.down,
            },
            "url": _url(flow),
            "http": {
                "request": {"method": flow.text("method")},
                "response": {"status_code": flow.number("status")},
            },
            "tls": {"client": {"server_name": flow.text("sni")}},
            "dns": {"question": {"name": flow.host}} if flow.word == "dns" else {},
            "rule": {"name": flow.rule, "ruleset": self._policy},
            "process": _process(flow),
            "labels": {
                "sluicegate_run": self._nonce,
                "sluicegate_signer": self._signer,
                "sluicegate_count": str(flow.count),
            },
        }


def _event(flow: Flow) -> dict[str, object]:
    kinds = ["connection", "denied" if flow.denied else "allowed"]
    if not flow.denied and flow.row.kind == "connection":
        kinds.append("end" if flow.ended else "start")
    failed = flow.denied or (flow.ended and flow.reason != "complete")
    return {
        "kind": "alert" if flow.denied or flow.verdict == "warn" else "event",
        "category": ["network"],
        "type": kinds,
        "action": "observed" if flow.verdict == "warn" else kinds[-1],
        "outcome": "failure" if failed else "success",
        "reason": flow.reason,
        "duration": None if flow.millis is None else flow.millis * MILLISECOND,
        "id": str(flow.row.record.get("action_id", "")),
        "sequence": flow.row.seq,
        "dataset": "sluicegate.flow",
        "module": "sluicegate",
        "severity": 3 if flow.rule == "secret" else 2 if flow.denied else 1,
    }


def _address(flow: Flow) -> dict[str, object]:
    try:
        return {"ip": str(ipaddress.ip_address(flow.host))}
    except ValueError:
        return {"domain": flow.host, "ip": flow.peer}


def _url(flow: Flow) -> dict[str, object]:
    if not flow.text("method"):
        return {}
    return {
        "full": flow.url,
        "scheme": flow.url.partition("://")[0],
        "domain": flow.host,
        "port": flow.port,
        "path": flow.text("path"),
    }


def _process(flow: Flow) -> dict[str, object]:
    holder = flow.holder
    path = str(holder.get("exe", ""))
    return {
        "pid": holder.get("pid"),
        "executable": path,
        "name": path.rpartition("/")[2],
        "hash": {"sha256": holder.get("exe_sha256")},
    }
