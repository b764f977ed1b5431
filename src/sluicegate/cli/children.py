"""The notary, the gate and the witness as processes of their own, forked before anything secret or hostile exists."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.boundary import syscalls
from sluicegate.boundary.model import BoundaryError
from sluicegate.cli import keysource, secretsource
from sluicegate.cli.opening import SetupError
from sluicegate.cli.options import OptionError
from sluicegate.policy.model import Policy
from sluicegate.policy.opening import Names

if TYPE_CHECKING:
    from sluicegate.gate.opened import Opener
    from sluicegate.gate.vault import Held, Vault

# 2,000 connections hold two sockets and two pipes each; the rest is room for look-ups and logs.
GATE_DESCRIPTORS = 16_384
# Objects made before the collector looks for cycles: a connection makes about a hundred that need no collector.
GC_THRESHOLD = 10_000
MAX_MESSAGE_BYTES = 65_536  # the names of the passed sockets; counts on the way back
SOCKETS = ("tcp", "dns_tcp", "dns_udp", "nflog", "watch_rules", "watch_routes")
WINDOWS = ("diag", "proc")
# systemd keeps this range for identities that no user has (systemd.io/UIDS-GIDS).
DYNAMIC_UIDS = (61_184, 65_519)
# Far above what login databases and container maps hand out; one run's ids are nobody else's.
HIGH_UIDS = (0x6000_0000, 0x7000_0000)


@dataclass(frozen=True, slots=True)
class Child:
    """A process and our end of its control socket; end of file on it means the process is gone."""

    pid: int
    control: socket.socket


@dataclass(frozen=True, slots=True)
class Opening:
    """What the gate needs to open TLS: the names it may answer as (None: any), the roots (DER) that it trusts.

    `secrets`: the values that it puts into requests, where a policy has any.
    """

    names: Names | None
    roots: tuple[bytes, ...]
    secrets: secretsource.Wanted | None = None


def service_uids(uid_map: str, number: int) -> tuple[int, int, int]:
    """Identities for gate, notary and witness out of the random `number`, mapped in this namespace."""
    spans = [(int(line.split()[0]), int(line.split()[2])) for line in uid_map.splitlines() if line]
    low, high = HIGH_UIDS
    if not any(first <= low and high <= first + count for first, count in spans):
        low, high = DYNAMIC_UIDS
    first = low + number % ((high - low) // 3) * 3
    return first, first + 1, first + 2


def start_notary(
    run: str,
    key: keysource.Source,
    gate: socket.socket,
    files: tuple[int, ...],
    uid: int | None,
    checkpoint_s: int,
) -> Child:
    """The process that holds the key: what `key` has open is read in it and nowhere else, or one is made in it.

    It answers the first command with `{"refused": why, "hint": remedy}` when there is no key to be had.
    """
    # Here, not in the child: the supervisor verifies with the same modules, so they are loaded once.
    from sluicegate.evidence import keys, notary
    from sluicegate.verify import packet  # noqa: F401

    keys.signer(bytes(keys.SEED_BYTES))

    def work(control: socket.socket) -> int:
        if key.passphrase is not None:
            # This identity may not be able to read it later.
            keys.load_decryption()
        try:
            user = 0 if uid is not None else syscalls.CLONE_NEWUSER
            syscalls.unshare(user | syscalls.CLONE_NEWNET)
        except OSError as error:
            control.sendall(_refusal(f"no namespace for the notary: {error.strerror}"))
            return notary.FAILED
        become(uid)
        settle()
        # Only now: nobody of this identity can look into the process any more.
        seed: bytearray | None = None
        if key.key is not None:
            try:
                seed = keysource.seed(key.key, key.passphrase)
            except (keys.KeyTextError, OptionError, OSError) as error:
                control.sendall(_refusal(*keysource.why(error)))
                return notary.FAILED
        evidence, flows = files
        return notary.serve(gate, control, evidence, flows, seed, checkpoint_s=checkpoint_s)

    keep = [gate.fileno(), *files, *key.descriptors()]
    return _fork(f"sluicegate: notary {run}", work, keep)


def start_gate(
    run: str,
    notary: socket.socket,
    witness: socket.socket,
    policies: tuple[Policy, ...],
    uid: int | None,
    opening: Opening | None = None,
    live: socket.socket | None = None,
) -> Child:
    """The process that parses hostile bytes. It waits for `hand_over` before it serves; what happens it tells `live`.

    With `opening` it says first `{"authority":{"pem":text,"placeholders":{name:text}}}`, the certificate of the key
    that it made, and what the command gets for the values that it holds.
    """

    def work(control: socket.socket) -> int:
        from sluicegate.gate import news, serve
        from sluicegate.gate.limits import Limits
        from sluicegate.wire import names

        # What a name outside ASCII needs is imported late, and this identity may not read it then.
        names.host("b\u00fccher.example")
        if opening is not None:
            from sluicegate.gate import (
                authority,  # noqa: F401
                certificates,
                h2inside,  # noqa: F401  # as above: needed by a later connection
                opened,  # noqa: F401
                upstream,  # noqa: F401
            )
        try:
            held = _held(opening)
        except SetupError as error:
            control.sendall(_refusal(str(error), error.hint))
            return 1
        _raise_descriptors()
        become(uid)
        settle()
        opener = kept = None
        if opening is not None:
            # Only now: nobody of this identity can look into the process any more.
            try:
                opener, kept = _opener(control, opening, run, held)
            except certificates.AuthorityError as error:
                control.sendall(_refusal(str(error)))
                return 1
        found = _handed_over(control)
        if not found:
            return 1
        tcp, dns_tcp, dns_udp, nflog, *watched = found
        control.sendall(b'{"ready":true}\n')
        sockets = (tcp, dns_tcp, dns_udp, nflog, notary, control)
        more = (tuple(watched), opener, kept, None if live is None else news.News(live))
        return serve.serve(*sockets, policies, Limits(), witness, *more)

    given = (
        () if opening is None or opening.secrets is None else opening.secrets.descriptors.values()
    )
    keep = [notary.fileno(), witness.fileno(), *given, *(() if live is None else (live.fileno(),))]
    return _fork(f"sluicegate: gate {run}", work, keep)


def _handed_over(control: socket.socket) -> tuple[socket.socket, ...]:
    """What `hand_over` sent; nothing if it is something else."""
    _, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, len(SOCKETS))
    whole = len(descriptors) == len(SOCKETS)
    return tuple(socket.socket(fileno=number) for number in descriptors) if whole else ()


def _held(opening: Opening | None) -> tuple[Held, ...]:
    """What the gate reads itself, while it is still who started the run.

    Raises:
        SetupError: there is a value that can not be had, or not be held back.
    """
    if opening is None or opening.secrets is None:
        return ()
    import hyperscan  # noqa: F401

    from sluicegate.gate import vault  # noqa: F401

    return secretsource.collect(opening.secrets, os.environ)


def _opener(
    control: socket.socket, opening: Opening, run: str, held: tuple[Held, ...]
) -> tuple[Opener, Vault | None]:
    """The authority is made, and told with the placeholders; the rest is got ready while the boundary is built.

    Raises:
        AuthorityError: it can not be made.
    """
    from sluicegate.gate import authority, opened, upstream

    made = authority.Authority(opening.names, run)
    told = {one.secret.name: one.placeholder for one in held}
    said = {"authority": {"pem": made.pem.decode(), "placeholders": told}}
    control.sendall(json.dumps(said).encode() + b"\n")
    servers = upstream.Upstream(opening.roots)
    # The first connection shall not wait for it.
    for spoken in (opened.SPOKEN, (opened.HTTP1,)):
        servers.context(spoken)
    opener = opened.Opener(made, servers)
    if opening.secrets is None:
        return opener, None
    from sluicegate.gate import vault

    return opener, vault.Vault(held, secretsource.looked_for(opening.secrets, os.environ, held))


def start_witness(run: str, gate: socket.socket, uid: int | None) -> Child:
    """The process that tells the gate which program made a connection. It waits for `open_windows` before it serves."""

    def work(control: socket.socket) -> int:
        from sluicegate.boundary import witness

        _raise_descriptors()
        _, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, len(WINDOWS))
        if len(descriptors) != len(WINDOWS):
            return witness.BROKEN
        diag, proc = socket.socket(fileno=descriptors[0]), descriptors[1]
        try:
            witness.enclose(proc, uid)
        except (OSError, BoundaryError) as error:
            control.sendall(_refusal(f"the witness could not give up its powers: {error}"))
            return witness.BROKEN
        # After the change of identity: it clears the parent-death signal.
        syscalls.die_with_parent(signal.SIGKILL)
        control.sendall(b'{"ready":true}\n')
        # Not before: until then every other process of the run has work, and there may be two processors.
        settle()
        return witness.serve(gate, control, diag, proc)

    return _fork(f"sluicegate: witness {run}", work, [gate.fileno()])


def start_scribe(run: str, work: Callable[[socket.socket], int], file: int) -> Child:
    """The process that does `work` on the workspace, and keeps `file` to write into."""

    def confined(control: socket.socket) -> int:
        syscalls.no_new_privileges()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        return work(control)

    return _fork(f"sluicegate: scribe {run}", confined, [file])


def _refusal(why: str, hint: str = "") -> bytes:
    return json.dumps({"refused": why, "hint": hint}).encode() + b"\n"


def hand_over(gate: Child, sockets: Mapping[str, socket.socket]) -> None:
    """Give the gate the sockets that were born inside the boundary."""
    socket.send_fds(gate.control, [b"{}\n"], [sockets[name].fileno() for name in SOCKETS])


def open_windows(witness: Child, windows: Mapping[str, int]) -> None:
    """Give the witness what was opened inside the boundary for it."""
    socket.send_fds(witness.control, [b"{}\n"], [windows[name] for name in WINDOWS])


def settle() -> None:
    """What was loaded so far stays: the collector need not look at it again, nor at every receipt's few objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def become(uid: int | None) -> None:
    """Give up root for `uid`, and any later gain of privilege; None keeps the caller's identity.

    Afterwards nobody but root can trace this process or read its memory, and it leaves no core.
    """
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    syscalls.no_new_privileges()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    syscalls.dumpable(False)
    # After the change of identity: it clears the parent-death signal.
    syscalls.die_with_parent(signal.SIGKILL)


def _fork(title: str, work: Callable[[socket.socket], int], keep: list[int]) -> Child:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    code = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        _only(theirs.fileno(), keep)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # the supervisor's to handle
        signal.set_wakeup_fd(-1)
        from setproctitle import setproctitle

        setproctitle(title)
        code = work(theirs)
    except BaseException:  # noqa: BLE001  # the last frame of a process: say why, never return
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _only(control: int, keep: list[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    wanted = sorted({0, 1, 2, control, *keep})
    for low, high in zip(wanted, [*wanted[1:], 1 << 20], strict=True):
        os.closerange(low + 1, high)


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < GATE_DESCRIPTORS:
        # Not every root may: what does not fit is refused and put on record as overload.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, GATE_DESCRIPTORS))
            hard = GATE_DESCRIPTORS
    wanted = GATE_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, GATE_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
