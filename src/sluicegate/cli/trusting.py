"""Where something may be opened: what the gate needs for that, and how the command comes to trust it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from sluicegate.boundary import rootstore, trust
from sluicegate.cli import children, secretsource, supervise, timing
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.policy.model import Policy
from sluicegate.policy.opening import Names, can_open

EVERY_NAME = "*"  # how the record says that nothing bounds the authority


def opening(
    policies: tuple[Policy, ...],
    environ: Mapping[str, str],
    secrets: secretsource.Wanted | None = None,
) -> children.Opening | None:
    """What the gate may open, and the roots it verifies servers against; None: the policies open nothing."""
    names = can_open(policies)
    if names is not None and not names:
        return None
    # Late: most runs open nothing, and what is in it takes time.
    from sluicegate.boundary import trustsurvey

    found = children.Opening(names, trustsurvey.roots(environ), secrets)
    timing.mark("roots read")
    return found


def trusting(
    plan: Plan, gate: children.Child, asked: children.Opening, environ: Mapping[str, str]
) -> Plan:
    """`plan` with a boundary that trusts the authority which the gate has made; waits for it.

    Raises:
        SetupError: the gate could make none.
    """
    from sluicegate.boundary import nssdb, trustsurvey

    command = plan.spec.command
    env, user = dict(command.env), (command.uid, command.gid)
    # While the gate makes its key.
    found = trustsurvey.found(asked.roots, environ, env, command.cwd)
    with nssdb.copies(plan.spec.home, env, user) as copies:
        timing.mark("trust surveyed")
        try:
            said = supervise.Control(gate.control, "gate").hear("authority")
            pem = str(said.get("pem", "")).encode("ascii")
            files, env = trust.overlay(found, pem, env)
            env |= _placeholders(said, asked.secrets)
        except supervise.ControlError as error:
            raise SetupError(str(error), error.hint) from error
        except ValueError as error:
            raise SetupError(f"what the gate says can not be used: {error}") from error
        files = replace(files, databases=nssdb.extended(copies, pem.decode("ascii"), user))
    timing.mark("authority made")
    command = replace(command, env=tuple(sorted(env.items())))
    spec = replace(plan.spec, command=command, trust=files)
    return replace(plan, spec=spec, authority=_member(pem, asked.names))


def _placeholders(said: Mapping[str, object], asked: secretsource.Wanted | None) -> dict[str, str]:
    """What the command's environment has for each secret."""
    found = said.get("placeholders")
    texts = (
        {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}
    )
    if texts.keys() != {secret.name for secret in (() if asked is None else asked.secrets)}:
        raise ValueError("other placeholders than those of the policy's secrets")
    return texts


def _member(pem: bytes, names: Names | None) -> dict[str, object]:
    """What boundary.json says of the authority: the digest of its certificate's DER, and what it may sign for."""
    (der,) = rootstore.certificates(pem)
    hosts = [EVERY_NAME]
    if names is not None:
        hosts = sorted(f"*.{host}" if wildcard else host for host, wildcard in names)
    return {"sha256": hashlib.sha256(der).hexdigest(), "names": hosts}
