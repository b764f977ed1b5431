"""What runs were seen to need: their decisions by destination, and what each asked for there. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import decide, paths
from sluicegate.policy.lint import RESOLVER_ADDRESSES, RESOLVERS
from sluicegate.policy.model import METHOD
from sluicegate.policy.seen import Seen
from sluicegate.wire.addresses import internal

# Methods that carry content away.
WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))
METADATA = "metadata"
# Names that stand for a metadata service, whatever they resolve to.
_METADATA_NAMES = frozenset(("metadata.google.internal", "metadata", "instance-data"))
_ALARM = "a secret was on its way there"
_CLEAR = "sent in the clear, where anybody on the way reads and changes it"
_RESOLVER = "a public DNS-over-HTTPS resolver: questions leave through it"
_SERVICE = "a metadata service: it gives credentials of the machine to whoever asks"


@dataclass(slots=True)
class Need:
    """What was done at one name or bare address and port. `seen`: (packet, decision), those that it stands for.

    `plain`: something passed that nobody looked into; else `requests` are methods and paths (None: a path that no rule
    can name). `warnings`: why it must not be allowed without a look.
    """

    name: str | None
    address: str | None
    port: int
    plain: bool = False
    requests: set[tuple[str, str | None]] = field(default_factory=set)
    seen: list[tuple[int, Seen]] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)
    warnings: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def where(self) -> tuple[str, int]:
        """By what they are sorted."""
        return self.name or self.address or "", self.port


@dataclass(slots=True)
class Needs:
    """By destination; `others` counts in words what is no need: denied, or of claims that differ."""

    found: dict[tuple[str | None, str | None, int, str], Need] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)

    def all(self) -> list[Need]:
        """Those with anything in them, sorted; not what was refused once and is needed all the same."""
        kept = [
            need
            for (name, address, port, kind), need in self.found.items()
            if need.seen and not (kind == "inside" and (name, address, port, "") in self.found)
        ]
        return sorted(kept, key=lambda need: need.where)

    def at(self, name: str | None, address: str | None, port: int, kind: str = "") -> Need:
        """The need of that destination; `kind` holds some of it apart."""
        key = (name, address, port, kind)
        return self.found.setdefault(key, Need(name, address, port))

    def other(self, words: str) -> None:
        """Count one that is no need."""
        self.others[words] = self.others.get(words, 0) + 1


def needs(packets: Iterable[Iterable[Seen]]) -> Needs:
    """What passed in `packets`, by destination; and what was refused for what it is, with the warning that says so."""
    found, alarms = Needs(), dict[tuple[object, ...], str]()
    for packet, some in enumerate(packets):
        for seen in some:
            _add(found, alarms, packet, seen)
    for need in found.found.values():
        alarm = alarms.get((need.name, need.address, need.port))
        if alarm is not None:
            need.warnings[alarm] = None
        bare = None if need.address is None else ipaddress.ip_address(need.address)
        if need.name in RESOLVERS or bare in RESOLVER_ADDRESSES:
            need.warnings[_RESOLVER] = None
        services = {internal(address) for _, seen in need.seen for address in seen.addresses}
        if need.name in _METADATA_NAMES or METADATA in services:
            need.warnings[_SERVICE] = None
    for need in list(found.found.values()):
        _answers(found, need)
    return found


def _add(found: Needs, alarms: dict[tuple[object, ...], str], packet: int, seen: Seen) -> None:
    about = decide.subject(seen.facts)
    if isinstance(about, str) or seen.facts.fault is not None:
        found.other("whose claims differ, or can not be vouched for")
        return
    bare = None if about.name else plain_address(str(about.address))
    place = (about.name, bare, about.port)
    if not seen.passed and seen.rule == "internal-address":
        _inside(found, packet, seen, place)
        return
    if not seen.passed and seen.rule == "secret":
        if seen.facts.method is not None and not METHOD.fullmatch(seen.facts.method):
            return
        alarms[place] = f"{_ALARM} (seq {seen.seq})"
        _request(found.at(*place), seen)
        _told(found.at(*place), packet, seen)
        return
    if not seen.passed:
        found.other(
            f"denied: {place[0] or place[1]} port {place[2]} ({seen.rule.partition(' ')[0]})"
        )
        return
    facts = seen.facts
    if facts.method is not None and not METHOD.fullmatch(facts.method):
        found.other("of a method that no rule can name")
        return
    clear = facts.protocol is Protocol.HTTP and facts.method in WRITES
    need = found.at(*place, "clear" if clear else "")
    if clear:
        need.warnings[_CLEAR] = None
    _request(need, seen)
    _told(need, packet, seen)


def _request(need: Need, seen: Seen) -> None:
    facts = seen.facts
    if facts.method is None:
        need.plain = need.plain or not (seen.opened or seen.asked)
        return
    need.requests.add((facts.method, _path(facts)))


def _path(facts: Facts) -> str | None:
    """The path as a rule can name it."""
    path = paths.normal(facts.path)
    named = path is not None and "*" not in path and len(path) <= paths.MAX_GLOB
    return path if named and paths.normal(path) == path and str(path).isprintable() else None


def _told(need: Need, packet: int, seen: Seen) -> None:
    need.seen.append((packet, seen))
    program = seen.program.rpartition("/")[2]
    if program:
        need.programs.add(program)
    if need.address is not None and internal(need.address) == METADATA:
        need.warnings[_SERVICE] = None


def _answers(found: Needs, need: Need) -> None:
    """Internal addresses of a name that was let through: each needs a rule of its own, as doubtful as the name's."""
    for packet, seen in need.seen if need.name is not None else ():
        for address in seen.addresses if seen.passed else ():
            if internal(address) is not None:
                kind = "inside" if need.warnings else ""
                one = found.at(None, plain_address(address), need.port, kind)
                one.plain = True
                one.notes[f"an address of {need.name}"] = None
                one.warnings |= need.warnings
                _told(one, packet, seen)


def _inside(
    found: Needs, packet: int, seen: Seen, place: tuple[str | None, str | None, int]
) -> None:
    """What was refused because it lies inside: observe mode does not open that either."""
    warning = f"refused, as it is internal: {seen.reason}"
    name, address, port = place
    inside = [one for one in seen.addresses if internal(one) is not None]
    for one in [address] if address is not None else inside:
        need = found.at(None, plain_address(one), port, "inside")
        need.plain = True
        need.warnings[warning] = None
        _told(need, packet, seen)
    if name is not None:
        need = found.at(name, None, port, "inside")
        need.warnings[warning] = None
        _request(need, seen)
        _told(need, packet, seen)


def plain_address(address: str) -> str:
    """As a rule names it: IPv4 inside IPv6 is IPv4, and no zone."""
    value = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        return str(value.ipv4_mapped)
    return str(value)
