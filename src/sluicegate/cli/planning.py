"""What a run is to be, from options, policies, environment and the machine: decided before anything is started."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from sluicegate.boundary import environment, identity, repositories, stores
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, Command, Spec
from sluicegate.cli import closing, outputs, places, policyfiles, presetting, say, secretsource
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.options import Options
from sluicegate.policy.together import together


def prepare(
    options: Options,
    environ: Mapping[str, str],
    run: str,
    ignored: tuple[int, ...] = (),
    secret: tuple[str, ...] = (),
) -> Plan:
    """The plan of `run`; `ignored` are the signals that the command ignores too, `secret` files it must not see."""
    workdir = places.workdir(options.workdir)
    tier = _tier(options)
    found = os.stat(workdir)
    caller = os.getuid(), os.getgid()
    who = identity.identity(environ, (found.st_uid, found.st_gid), caller, tier, _account)
    presets = presetting.of_run(options, environ, who.home, workdir)
    policies = policyfiles.load(
        options.policies, workdir, observe=options.observe, presets=presets, given=options.presets
    )
    grants = together(policies)
    private = secretsource.files(grants.secrets, who.home)
    names, given = _named(options.env, grants.env)
    handing = outputs.handing(grants.outputs, environ, run)
    given = {**_person(who), **given, **handing.env}
    env, withheld = environment.allowed(environ, names, given)
    command = Command(
        argv=options.argv,
        env=env,
        cwd=workdir,
        uid=who.uid,
        gid=who.gid,
        rootless=tier == ROOTLESS_TIER,
        tty=_terminals(),
        ignored=ignored,
    )
    out = places.resolved(options.packet, "--packet")
    writable = (workdir, *_binds(options, grants.bind, who.home))
    places.apart(out, writable)
    places.unwritten(presets.written(writable))
    told = _checkpoints(options, out, writable)
    files = (*_files(options, told), *private)
    spec = Spec(
        run=run,
        tier=tier,
        command=command,
        workspace=workdir,
        binds=(*writable[1:], *handing.binds),
        home=who.home,
        hidden=(*_pointed(environ, withheld, workdir), *handing.hidden, *secret, *files),
        packet=out,
        kept=_kept(options, workdir, writable),
        free=tuple(os.path.join(workdir, path) for path in grants.writable),
    )
    presets.unseen(withheld, spec.hidden)
    known = _owner(environ), closing.now(), _secrets(workdir)
    return Plan(options, policies, spec, out, withheld, *known, told, handing=handing)


def _binds(options: Options, granted: tuple[str, ...], home: str) -> tuple[str, ...]:
    """Where the command writes beside its workspace, free of links."""
    if missing := [path for path in options.binds if not os.path.exists(path)]:
        raise SetupError(f"--bind {missing[0]} does not exist", "make it, or leave it out")
    # A cache that a policy grants may not be there yet on this machine: then there is nothing to open.
    there = filter(os.path.exists, (places.expanded(path, home) for path in granted))
    return tuple(places.real(path, "--bind") for path in (*there, *options.binds))


def _terminals() -> tuple[bool, bool, bool]:
    """Which of 0, 1 and 2 the command gets as a terminal: none, unless its input is one."""
    return (os.isatty(0), os.isatty(0) and os.isatty(1), os.isatty(0) and os.isatty(2))


def _kept(options: Options, workdir: str, writable: tuple[str, ...]) -> tuple[str, ...]:
    """The files that the command must not change: policies, and what `--read-only` names."""
    if missing := [path for path in options.read_only if not os.path.isfile(path)]:
        raise SetupError(f"--read-only {missing[0]} is no file", "name one that is there")
    return places.kept(
        (*policyfiles.paths(options.policies, workdir), *options.read_only), writable
    )


def _tier(options: Options) -> str:
    tier = ROOT_TIER if os.geteuid() == 0 else ROOTLESS_TIER
    if options.tier not in {"auto", tier}:
        raise SetupError(
            f"tier {options.tier} is not to be had as uid {os.geteuid()}",
            "run it as root" if tier == ROOTLESS_TIER else "run it as a user, not as root",
        )
    return tier


def _secrets(workdir: str) -> tuple[str, ...]:
    """Names of the credentials in the workspace's own git configuration."""
    return tuple(
        f"{path}: {name}"
        for path in (".git/config", ".gitmodules")
        for name in stores.git_secrets(repositories.readable(os.path.join(workdir, path)))
    )


def warn(plan: Plan) -> None:
    """Says what the command will be able to read that nobody may have meant it to."""
    if plan.secrets and not plan.options.quiet:
        names = closing.ascii_text(", ".join(plan.secrets))
        say.complain(
            f"warning: the workspace holds credentials that the command can read: {names}",
            "check out without them, for example with persist-credentials: false",
        )


def _pointed(
    environ: Mapping[str, str], withheld: tuple[str, ...], workdir: str
) -> tuple[str, ...]:
    """Paths that variables name and the command must not see."""
    named = {name: environ[name] for name in withheld} | _moved(environ)
    return stores.pointed(named, (os.getcwd(), workdir))


def _files(options: Options, told: str | None) -> tuple[str, ...]:
    """The signing key's, and that of the checkpoints: the command must not learn how its run is called, it could print
    some of its own.
    """
    key = () if options.key is None else (os.path.abspath(options.key),)
    return key if told is None else (*key, told)


def _moved(environ: Mapping[str, str]) -> dict[str, str]:
    """The command may know where parts of its home are; their credentials are hidden all the same."""
    return {name: environ[name] for name in stores.MOVED if name in environ}


def _account(uid: int) -> identity.Account | None:
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return None
    return identity.Account(found.pw_uid, found.pw_gid, found.pw_dir)


def _person(who: identity.Identity) -> dict[str, str]:
    """What sudo may have left as root's."""
    try:
        name = pwd.getpwuid(who.uid).pw_name
    except KeyError:
        name = "sluicegate"
    return {"HOME": who.home, "USER": name, "LOGNAME": name}


def _owner(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """To whom sudo's caller expects the packet to belong; None leaves it ours."""
    uid, gid = identity.number(environ, "SUDO_UID"), identity.number(environ, "SUDO_GID")
    return None if os.geteuid() or uid is None or gid is None else (uid, gid)


def _checkpoints(options: Options, out: str, writable: tuple[str, ...]) -> str | None:
    if options.checkpoint_file is None:
        return None
    told = places.resolved(options.checkpoint_file, "--checkpoint-file")
    places.outside(told, out, writable)
    return told


def _named(
    given: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names to pass through, and variables given with a value."""
    pairs = [text.partition("=") for text in given]
    names = wanted + tuple(name for name, equals, _ in pairs if not equals)
    return names, {name: value for name, equals, value in pairs if equals}
