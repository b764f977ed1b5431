"""What several policies grant beside flows, and their limits: as for flows, every one must grant it."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.policy.model import Policy, Secret


@dataclass(frozen=True, slots=True)
class Grants:
    """What every policy lists of environment, binds, outputs, writable paths and secrets; of each limit the least.

    `connections` None: the gate's own limit; the others (bytes, numbers) None: no limit. `digests`: one policy asks.
    """

    env: tuple[str, ...]
    bind: tuple[str, ...]
    connections: int | None
    upload: int | None = None
    upload_per_host: int | None = None
    requests_per_minute: int | None = None
    names_per_wildcard: int | None = None
    secrets: tuple[Secret, ...] = ()
    digests: bool = False
    outputs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


def together(policies: tuple[Policy, ...]) -> Grants:
    """The intersection: a further policy file, from whomever, never grants more."""
    first = policies[0] if policies else Policy("")
    return Grants(
        env=tuple(name for name in first.env if all(name in p.env for p in policies)),
        bind=tuple(path for path in first.bind if all(path in p.bind for p in policies)),
        connections=_least([policy.connections for policy in policies]),
        upload=_least([policy.upload for policy in policies]),
        upload_per_host=_least([policy.upload_per_host for policy in policies]),
        requests_per_minute=_least([policy.requests_per_minute for policy in policies]),
        names_per_wildcard=_least([policy.names_per_wildcard for policy in policies]),
        secrets=tuple(
            secret for secret in first.secrets if all(secret in p.secrets for p in policies)
        ),
        digests=any(policy.digests for policy in policies),
        outputs=tuple(n for n in first.outputs if all(n in p.outputs for p in policies)),
        writable=tuple(n for n in first.writable if all(n in p.writable for p in policies)),
    )


def _least(limits: list[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
