"""Rows as OCSF events, a JSON line each: Network Activity (4001), of HTTP requests HTTP Activity (4002). Pure.

Source: the OCSF schema 1.7, classes network_activity and http_activity, profiles security_control and host.
"""

from __future__ import annotations

import ipaddress

from sluicegate import __version__
from sluicegate.report.flow import Flow, flows, line
from sluicegate.report.told import epoch
from sluicegate.verify.packet import Report
from sluicegate.verify.rows import Row

VERSION = "1.7.0"
NETWORK, HTTP, CATEGORY = 4001, 4002, 4
OPEN, CLOSE, FAIL, REFUSE, TRAFFIC = 1, 2, 4, 5, 6
_ACTIVITIES = {OPEN: "Open", CLOSE: "Close", FAIL: "Fail", REFUSE: "Refuse", TRAFFIC: "Traffic"}
_METHODS = {
    "CONNECT": 1,
    "DELETE": 2,
    "GET": 3,
    "HEAD": 4,
    "OPTIONS": 5,
    "POST": 6,
    "PUT": 7,
    "TRACE": 8,
    "PATCH": 9,
}
OTHER = 99
_NUMBERS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "icmpv6": 58}
INFORMATIONAL, LOW, MEDIUM, HIGH = 1, 2, 3, 4
_SEVERITIES = {INFORMATIONAL: "Informational", LOW: "Low", MEDIUM: "Medium", HIGH: "High"}


class Ocsf:
    """Makes the events of one record."""

    def __init__(self, report: Report) -> None:
        self._nonce, self._policy = report.run_nonce, report.policy_hash

    def lines(self, row: Row) -> str:
        """The lines of one row; empty for one of the lifecycle."""
        return "".join(line(self._event(flow)) for flow in flows(row))

    def _event(self, flow: Flow) -> dict[str, object]:
        method = flow.text("method")
        kind = HTTP if method else NETWORK
        activity, name = _activity(flow, method)
        severity = _severity(flow)
        seconds = epoch(str(flow.row.record.get("timestamp", "")))
        event: dict[str, object] = {
            "activity_id": activity,
            "activity_name": name,
            "category_uid": CATEGORY,
            "category_name": "Network Activity",
            "class_uid": kind,
            "class_name": "HTTP Activity" if kind == HTTP else "Network Activity",
            "type_uid": kind * 100 + activity,
            "time": (seconds or 0) * 1000,
            "severity_id": severity,
            "severity": _SEVERITIES[severity],
            "status_id": 2 if _failed(flow) else 1,
            "status": "Failure" if _failed(flow) else "Success",
            "status_detail": flow.reason,
            "count": flow.count,
            "duration": flow.millis,
            "metadata": self._metadata(flow),
            "dst_endpoint": {**_address(flow), "port": flow.port},
            "src_endpoint": {"port": flow.number("client_port")},
            "connection_info": {
                "direction_id": 2,
                "direction": "Outbound",
                "protocol_name": flow.transport,
                "protocol_num": _NUMBERS.get(flow.transport, -1),
                "uid": str(flow.number("connection") or ""),
            },
            "app_name": flow.word,
            **_control(flow, self._policy),
            "actor": {"process": _process(flow)},
        }
        if flow.up is not None and flow.down is not None:
            event["traffic"] = {
                "bytes": flow.up + flow.down,
                "bytes_out": flow.up,
                "bytes_in": flow.down,
            }
        if sni := flow.text("sni"):
            event["tls"] = {"sni": sni, "version": "unknown"}
        if kind == HTTP:
            event |= _http(flow, method)
        return event

    def _metadata(self, flow: Flow) -> dict[str, object]:
        return {
            "version": VERSION,
            "profiles": ["security_control", "host"],
            "product": {"name": "sluicegate", "vendor_name": "sluicegate", "version": __version__},
            "uid": str(flow.row.record.get("action_id", "")),
            "correlation_uid": self._nonce,
            "sequence": flow.row.seq,
            "log_name": "evidence.jsonl",
        }


def _activity(flow: Flow, method: str) -> tuple[int, str]:
    if method:
        known = _METHODS.get(method)
        return (OTHER, method) if known is None else (known, method.capitalize())
    activity = REFUSE if flow.denied else CLOSE if flow.ended else OPEN
    if flow.ended and flow.reason != "complete":
        activity = FAIL
    if flow.word == "dns" and not flow.denied:
        activity = TRAFFIC
    return activity, _ACTIVITIES[activity]


def _failed(flow: Flow) -> bool:
    return flow.denied or (flow.ended and flow.reason != "complete")


def _severity(flow: Flow) -> int:
    if flow.rule == "secret":
        return HIGH
    return MEDIUM if flow.denied else LOW if flow.verdict == "warn" else INFORMATIONAL


def _control(flow: Flow, policy: str) -> dict[str, object]:
    """The profile security_control. A flow that observe mode let through was allowed, and logged."""
    disposition, said = (2, "Blocked") if flow.denied else (1, "Allowed")
    if flow.verdict == "warn":
        disposition, said = 17, "Logged"
    return {
        "action_id": 2 if flow.denied else 1,
        "action": "Denied" if flow.denied else "Allowed",
        "disposition_id": disposition,
        "disposition": said,
        "is_alert": flow.denied or flow.verdict == "warn",
        "firewall_rule": {"name": flow.rule},
        "policy": {"uid": policy},
    }


def _address(flow: Flow) -> dict[str, object]:
    """`hostname` and `ip` of where it went."""
    address = flow.peer
    try:
        return {"ip": str(ipaddress.ip_address(flow.host))}
    except ValueError:
        # One of its endpoints an event must have.
        return {"hostname": flow.host or "unknown", "ip": address}


def _process(flow: Flow) -> dict[str, object]:
    holder = flow.holder
    path = str(holder.get("exe", ""))
    if not holder:
        return {}
    digest = holder.get("exe_sha256")
    name = path.rpartition("/")[2] or path
    file: dict[str, object] = {"name": name, "path": path, "type_id": 1, "type": "Regular File"}
    if digest:
        file["hashes"] = [{"algorithm": "SHA-256", "algorithm_id": 3, "value": digest}]
    return {"pid": holder.get("pid"), "name": name, "file": file if name else {}}


def _http(flow: Flow, method: str) -> dict[str, object]:
    url = {
        "url_string": flow.url,
        "scheme": flow.url.partition("://")[0],
        "hostname": flow.host,
        "port": flow.port,
        "path": flow.text("path"),
    }
    event: dict[str, object] = {"http_request": {"http_method": method, "url": url}}
    status = flow.number("status")
    if status is not None:
        event["http_response"] = {"code": status}
    return event
