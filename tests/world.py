"""A world of our own for the tests: a network namespace with addresses, names and a sink that are all ours.

sluicegate runs inside this world as it would on a host, as root or as an unprivileged user; what leaves its
boundary can only arrive at the sink, and the sink writes everything down. Real names never take part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
USER = 64_999  # an unprivileged uid that no system hands out; it has no passwd entry
NAMES = {
    "allowed.test": ("203.0.113.10", "2001:db8::10"),
    "denied.test": ("203.0.113.20",),
    "four.test": ("203.0.113.10",),
    "six.test": ("2001:db8::10",),
    "www.wild.test": ("203.0.113.10",),
    "half.test": ("203.0.113.99", "203.0.113.10"),  # the first address answers nothing
    "internal.test": ("10.9.9.9",),
    "loop.test": ("127.0.0.1",),
    "meta.test": ("169.254.169.254",),
    "metadata.google.internal": ("169.254.169.254",),
    "host.docker.internal": ("172.17.0.1",),
    "fronted.test": ("203.0.113.10",),  # at the allowed address, but no rule allows it
    # Hosts of their own, beyond a link: tests/peers/forge.py starts them.
    "forge.test": ("203.0.113.30", "2001:db8::30"),
    "store.test": ("10.9.9.30",),
    # The forge under the names that presets have.
    **dict.fromkeys(("github.com", "api.anthropic.com", "api.openai.com"), ("203.0.113.30",)),
}
CERTIFIED = ("203.0.113.10", "2001:db8::10", "203.0.113.30", "2001:db8::30")
ADDRESSES = (
    *("203.0.113.10/32", "203.0.113.20/32", "203.0.113.53/32", "10.9.9.9/32"),
    *("169.254.169.254/32", "2001:db8::10/128", "2001:db8::20/128", "fd00:ec2::254/128"),
    # The attacker's, also by NAT64; public resolvers; a second metadata server; what bridges are called.
    *("203.0.113.66/32", "2001:db8::66/128", "64:ff9b::203.0.113.66/128"),
    *("1.1.1.1/32", "8.8.8.8/32", "9.9.9.9/32"),
    # What an internal address is called by NAT64 and 6to4.
    *("64:ff9b::10.9.9.9/128", "2002:a09:909::1/128"),
    *("169.254.170.2/32", "172.17.0.1/32", "10.0.0.1/32", "192.168.122.1/32"),
)
# Sockets of the machine that every user may connect to; `@` begins an abstract name.
SOCKETS = (
    *("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"),
    *("/run/buildkit/buildkitd.sock", "/run/crio/crio.sock", "/run/snapd.socket"),
    *(f"/run/user/{USER}/docker.sock", f"/run/user/{USER}/bus", "/run/dbus/system_bus_socket"),
    *("/run/systemd/private", "/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/canary"),
    *("/run/avahi-daemon/socket", "/run/X11", "@sluicegate-canary", "@/tmp/.X11-unix/X0"),
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command in the world ended."""

    code: int
    out: str
    err: str


class World:
    """Use as a context manager; needs root. `directory` is the tests' scratch, writable for USER."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "sink.jsonl"
        self.log.touch()
        self.ca, self.key = directory / "ca.pem", directory / "ca.key"
        self.keeper: subprocess.Popen[str] | None = None
        self.sink: subprocess.Popen[str] | None = None

    @property
    def sockets(self) -> tuple[str, ...]:
        """The canary sockets; the last two lie where the workspaces and the home are."""
        return (*SOCKETS, str(self.directory / "agent.sock"), str(self.directory / ".gnupg-agent"))

    def __enter__(self) -> Self:
        self._certificate()
        hosts = "".join(f"{a} {name}\n" for name, list_ in NAMES.items() for a in list_)
        (self.directory / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n" + hosts)
        (self.directory / "resolv.conf").write_text("nameserver 203.0.113.53\noptions timeout:1\n")
        (self.directory / "nsswitch.conf").write_text(
            "passwd: files\ngroup: files\nhosts: files dns\n"
        )
        lines = ["set -e", "mount --make-rprivate /", "ip link set lo up"]
        lines += ["ip route add 224.0.0.0/4 dev lo", "ip route add 255.255.255.255 dev lo"]
        lines += ["echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range"]
        lines += ["mount -t tmpfs -o mode=755 none /run"]
        lines += [f"ip addr add {address} dev lo" for address in ADDRESSES]
        lines += [
            # The target of a link into /run has to be made again.
            f"t=$(readlink -m /etc/{n}); mkdir -p ${{t%/*}}; [ -e $t ] || : >$t;"
            f" mount --bind {self.directory}/{n} $t"
            for n in ("hosts", "resolv.conf", "nsswitch.conf")
        ]
        lines += [f"mkdir -p {s.rpartition('/')[0]}" for s in self.sockets if s[0] == "/"]
        lines += _open_up()
        lines += ["echo ready", "exec cat"]
        self.keeper = self._start(["unshare", "--net", "--mount", "sh", "-c", "\n".join(lines)])
        sink = [
            sys.executable,
            str(ROOT / "tests/sink.py"),
            str(self.log),
            str(self.ca),
            str(self.key),
            *self.sockets,
        ]
        self.sink = self._start([*self.enter(None), *sink])
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.sink, self.keeper):
            if process is not None:
                process.kill()
                process.communicate()

    def run(
        self,
        argv: Sequence[str],
        *,
        user: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> Done:
        """Run `argv` in the world, as root or as `user`; no boundary around it."""
        process = self.popen(argv, user=user, env=env, cwd=cwd)
        out, err = process.communicate(stdin, timeout=120)
        return Done(process.returncode, out, err)

    def popen(
        self,
        argv: Sequence[str],
        *,
        user: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.enter(user, cwd), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "HOME": str(self.directory),
                **(env or {}),
            },
        )

    def arrived(self) -> list[dict[str, Any]]:
        """Everything the sink has written down so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def settle(self) -> None:
        """Back when everything that reached the sink before is in its log; nothing may be running."""
        self._tell_sink("settle")

    def listen(self, path: Path) -> None:
        """One more canary socket of the machine, at `path`."""
        self._tell_sink(f"listen {path}")

    def _tell_sink(self, line: str) -> None:
        assert self.sink is not None
        assert self.sink.stdin is not None
        assert self.sink.stdout is not None
        self.sink.stdin.write(f"{line}\n")
        self.sink.stdin.flush()
        assert self.sink.stdout.readline() == line.partition(" ")[0] + "\n"

    def enter(self, user: int | None, cwd: Path | None = None) -> list[str]:
        assert self.keeper is not None
        base = ["nsenter", f"--target={self.keeper.pid}", "--net", "--mount"]
        base.append(f"--wdns={cwd or self.directory}")  # another mount namespace begins at its root
        if user is not None:
            base += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return base

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.directory
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", f"{argv[0]} said {said!r}"
        return process

    def _certificate(self) -> None:
        names = ",".join(
            (*(f"DNS:{name}" for name in NAMES), *(f"IP:{address}" for address in CERTIFIED))
        )
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *("-nodes", "-keyout", str(self.key), "-out", str(self.ca), "-days", "2"),
                *("-subj", "/CN=sluicegate test", "-addext", f"subjectAltName={names}"),
            ],
            check=True,
            capture_output=True,
        )


def _open_up() -> list[str]:
    """Shell lines that let USER reach the interpreter and this tree where a private home holds them."""
    lines: list[str] = []
    wanted = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT.resolve()}
    shut = {
        parent
        for path in wanted
        for parent in path.parents
        if parent != Path("/") and not parent.stat().st_mode & 0o001
    }
    for top in sorted(shut):
        if any(other in top.parents for other in shut):
            continue
        inside = [path for path in sorted(wanted) if top in path.parents]
        lines += [
            f"mkdir -p /mnt/keep{n} && mount --bind {p} /mnt/keep{n}" for n, p in enumerate(inside)
        ]
        lines.append(f"mount -t tmpfs -o mode=755 none {top}")
        lines += [f"mkdir -p {p} && mount --move /mnt/keep{n} {p}" for n, p in enumerate(inside)]
    return lines
