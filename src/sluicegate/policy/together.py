"""What several policies grant the agent besides the network: as for flows, every one must grant it."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Grants:
    """Environment names, paths to bind, and the most connections (None: the gate's own limit)."""

    env: tuple[str, ...]
    bind: tuple[str, ...]
    connections: int | None


def together(policies: tuple[Policy, ...]) -> Grants:
    """The intersection: a further policy file, from whomever, never grants more."""
    limits = [policy.connections for policy in policies if policy.connections is not None]
    first = policies[0] if policies else Policy("")
    return Grants(
        env=tuple(name for name in first.env if all(name in p.env for p in policies)),
        bind=tuple(path for path in first.bind if all(path in p.bind for p in policies)),
        connections=min(limits, default=None),
    )
