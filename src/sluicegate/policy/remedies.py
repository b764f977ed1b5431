"""The YAML lines that would allow what a policy lacks."""

from __future__ import annotations

import ipaddress
import re

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import paths
from sluicegate.policy.model import DEFAULT_PORTS, METHOD

_UNQUOTED = re.compile(r"[A-Z]{3,32}", re.ASCII)
# What YAML 1.1 takes for a truth.
_TRUTHS = frozenset(("YES", "OFF", "TRUE", "FALSE", "NULL"))


def remedy(name: str | None, address: str | None, port: int, facts: Facts) -> str | None:
    """The lines that allow the flow; for a request inside TLS, which was opened to see it, its method and path alone.

    None where no line can: a method that no policy can name.
    """
    if facts.protocol is not Protocol.HTTPS or facts.method is None:
        return plain(name, address, port)
    return request(plain(name, address, port), facts.method, facts.path)


def plain(name: str | None, address: str | None, port: int) -> str:
    """The lines that allow name or address on that port, whatever is asked there."""
    line = _where(name, address)
    return line if port in DEFAULT_PORTS else f"{line}\n  ports: [{port}]"


def method(name: str | None, address: str | None, port: int, asked: str) -> str:
    """The lines that allow one method of a name or address on that port."""
    return f"{_where(name, address)}\n  ports: [{port}]\n  methods: [{asked}]"


def _where(name: str | None, address: str | None) -> str:
    if name is not None:
        return f"- host: {name}"
    value = ipaddress.ip_address(str(address))
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        value = value.ipv4_mapped
    return f"- ip: {value}/{value.max_prefixlen}"


def request(lines: str, asked: str, target: str | None) -> str | None:
    """`lines` for the method and path of one request; without the path where it is too long, odd or a glob."""
    if not METHOD.fullmatch(asked) or asked == "CONNECT":
        return None
    lines += f"\n  methods: [{method_word(asked)}]"
    path = paths.normal(target)
    if path is None or "*" in path or len(path) > paths.MAX_GLOB or paths.normal(path) != path:
        return lines
    return f'{lines}\n  paths: ["{escaped(path)}"]'


def method_word(method: str) -> str:
    """A method as a policy's list holds it."""
    certain = _UNQUOTED.fullmatch(method) and method not in _TRUTHS
    return method if certain else f'"{method}"'


def escaped(text: str) -> str:
    """What stands between double quotes in YAML (1.2 section 5.7), in printable ASCII."""
    out = list[str]()
    for char in text:
        if char in {'"', "\\"}:
            out.append(f"\\{char}")
        elif " " <= char <= "~":
            out.append(char)
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}")
    return "".join(out)
