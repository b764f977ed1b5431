"""Hosts beyond a link of the world, with real servers: git over HTTPS and SSH, Redis, Postgres.

They have a network namespace of their own, and so every port of their addresses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.world import USER, World

HERE = Path(__file__).parent
ADDRESSES = ("203.0.113.30", "10.9.9.30", "2001:db8::30")
LINK = ("203.0.113.29", "2001:db8::29")  # the world's end
SECRET = "seven-seals"  # what is stored; who reads it was let in


def postgres() -> Path | None:
    """Where the server's programs are, if it is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Forge:
    """Use as a context manager. `key` is the private key whose owner may log in over SSH as `git`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = world.directory / "forge"
        self.key, self.known_hosts = self.directory / "key", self.directory / "known_hosts"
        self.repositories = self.directory / "srv"
        self.path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        self.env = {"PATH": self.path, "LANG": "C.UTF-8", "HOME": str(self.directory)}
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        self.directory.mkdir()
        os.chown(self.directory, USER, USER)
        self._place()
        self._repository()
        self._ssh()
        files = (self.repositories, self.world.ca, self.world.directory / "forge/tls.key")
        shutil.copy(self.world.key, files[2])
        os.chown(files[2], USER, USER)
        self._serve("ready", [sys.executable, str(HERE / "githttp.py"), *map(str, files)])
        self._redis()
        if (programs := postgres()) is not None:
            self._postgres(programs)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.started):
            process.terminate()
            process.communicate()

    def _place(self) -> None:
        """The namespace, its addresses, and the link to the world's."""
        assert self.world.keeper is not None
        users = "root:x:0:0::/root:/bin/sh\nsshd:x:102:65534::/run/sshd:/bin/false\n"
        users += f"git:x:{USER}:{USER}::{self.directory}:/bin/sh\n"
        (self.directory / "passwd").write_text(users)
        (self.directory / "shadow").write_text("root:*:1::::::\nsshd:*:1::::::\ngit:*:1::::::\n")
        lines = ["set -e", "ip link set lo up", "mkdir -p /run/sshd"]
        lines += ["echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start"]
        lines += [
            f"mount --bind {self.directory}/{name} /etc/{name}" for name in ("passwd", "shadow")
        ]
        lines += ["echo ready", "exec cat"]
        inside = ["unshare", "--net", "--mount", "sh", "-c", "\n".join(lines)]
        self._start(self.world.enter(None), inside, "ready")
        link = ["set -e", f"ip link add forge0 type veth peer name forge0 netns {self.pid}"]
        here = f"nsenter --target={self.pid} --net "
        for side, own, other in (("", LINK, ADDRESSES), (here, ADDRESSES, LINK)):
            link += [f"{side}ip addr add {a} dev forge0 {_nodad(a)}" for a in own]
            link += [f"{side}ip link set forge0 up"]
            link += [
                f"{side}ip route add {a} dev forge0 src {own[-1] if ':' in a else own[0]}"
                for a in other
            ]
        done = self.world.run(["sh", "-c", "\n".join(link)])
        assert done.code == 0, done.err

    @property
    def pid(self) -> int:
        """A process in the namespace."""
        return self.started[0].pid

    def _enter(self, user: int | None) -> list[str]:
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", f"--wdns={self.directory}"]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return enter

    def _run(self, *argv: str) -> None:
        """Run to its end as the forge's user."""
        done = subprocess.run(
            [*self._enter(USER), *argv], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _serve(self, marker: str, argv: Sequence[str], user: int | None = USER) -> None:
        """Start a server in the namespace; back when it says `marker`."""
        self._start(self._enter(user), argv, marker)

    def _start(self, enter: Sequence[str], argv: Sequence[str], marker: str) -> None:
        process = subprocess.Popen(
            [*enter, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env,
        )
        self.started.append(process)
        assert process.stdout is not None
        said = ""
        while marker not in said:
            line = process.stdout.readline()
            assert line, f"{argv[0]} ended: {said}"
            said += line

    def _repository(self) -> None:
        script = f"""set -e
            git init -q -b main --bare {self.repositories}/tool.git
            git -C {self.repositories}/tool.git config http.receivepack true
            git init -q -b main first; cd first
            echo {SECRET} >content; git add content
            git -c user.name=forge -c user.email=forge@forge.test commit -q -m first
            git push -q {self.repositories}/tool.git main
            cp -r {self.repositories}/tool.git {self.repositories}/private.git"""
        self._run("sh", "-c", script)

    def _ssh(self) -> None:
        """A throw-away host key and a throw-away login; OpenSSH's server, or else dropbear."""
        host = self.directory / "host"
        for key in (host, self.key):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        login = self.directory / ".ssh"
        self._run("mkdir", "-m", "700", str(login))
        self._run("cp", str(self.key.with_suffix(".pub")), str(login / "authorized_keys"))
        kind, key_text = host.with_suffix(".pub").read_text().split()[:2]
        names = ",".join(("forge.test", "store.test", *ADDRESSES))
        self.known_hosts.write_text(f"{names} {kind} {key_text}\n")
        if server := shutil.which("sshd", path=self.path):
            config = self.directory / "sshd_config"
            config.write_text(
                f"HostKey {host}\nPidFile none\nUsePAM no\nStrictModes no\n"
                "PasswordAuthentication no\nUseDNS no\n"
            )
            self._serve("Server listening on ::", [server, "-D", "-e", "-f", str(config)], None)
            return
        server = shutil.which("dropbear", path=self.path)
        assert server, "no SSH server: `make tools` installs dropbear-bin"
        self._run("dropbearconvert", "openssh", "dropbear", str(host), str(host) + ".db")
        self._serve("Not backgrounding", [server, "-F", "-E", "-s", "-r", str(host) + ".db"], None)

    def _redis(self) -> None:
        # redis-tools brings the server under its other name, without a service that starts it.
        server = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        assert server, "no Redis: `make tools` installs redis-tools"
        options = ("--port", "6379", "--bind", "*", "-::*", "--protected-mode", "no", "--save", "")
        named = ["bash", "-c", 'exec -a redis-server "$0" "$@"', server, *options]
        self._serve("Ready to accept connections", named)

    def _postgres(self, programs: Path) -> None:
        data = self.directory / "postgres"
        self._run(
            *(str(programs / "initdb"), "--auth=trust", "--username=tester", "--no-sync"),
            *("--no-locale", "--encoding=UTF8", "-D", str(data)),
        )
        with open(data / "pg_hba.conf", "a") as file:
            file.write("host all all all trust\n")
        options = [*("-c", "listen_addresses=*", "-c", f"unix_socket_directories={data}")]
        options += [*("-c", "fsync=off", "-c", "shared_buffers=1MB")]
        self._serve(
            "ready to accept connections", [str(programs / "postgres"), "-D", str(data), *options]
        )


def _nodad(address: str) -> str:
    return "nodad" if ":" in address else ""
