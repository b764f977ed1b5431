"""The scribe: a process that looks at the workspace before and after, while the others have their own work."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluicegate.cli import children, supervise

if TYPE_CHECKING:
    from sluicegate.evidence.output import Outputs

# A million files looked at, and 4 GiB read: minutes on a slow disk. Whoever takes longer does not answer any more.
ANSWER_SECONDS = 600.0
MAX_MANIFEST_BYTES = 16_777_216  # what a verifier reads of such a file


class Scribe:
    """Start it before anything of the command lives; `ready`, and when nothing does any more, `compare`, `manifest`."""

    def __init__(self, run: str, trees: Sequence[str], hidden: Sequence[str]) -> None:
        self._file = os.memfd_create("sluicegate-workspace", os.MFD_CLOEXEC)
        places = [os.fsencode(tree) for tree in trees]
        left_out = [os.fsencode(path) for path in hidden]

        def work(control: socket.socket) -> int:
            return _work(control, self._file, places, left_out)

        self.child = children.start_scribe(run, work, self._file)
        self._control = supervise.Control(self.child.control, "scribe")

    def ready(self) -> None:
        """Back when it has seen what is there.

        Raises:
            ControlError: it could not look.
        """
        said = self._control.receive(ANSWER_SECONDS)
        if said.get("ready") is not True:
            raise supervise.ControlError(str(said.get("refused", "the scribe did not say ready")))

    def compare(self, judged: Outputs | None) -> None:
        """Have it look again; what was judged is reported where outputs are granted.

        Raises:
            ControlError: it is gone.
        """
        said = None
        if judged is not None:
            from sluicegate.evidence import output

            said = output.report(judged)
        self._control.send({"compare": said})

    def manifest(self) -> bytes:
        """workspace.json, when it has looked.

        Raises:
            ControlError: it is gone, or what it wrote is not what it said.
        """
        said = self._control.receive(ANSWER_SECONDS)
        found = os.pread(self._file, MAX_MANIFEST_BYTES + 1, 0)
        if said.get("sha256") != hashlib.sha256(found).hexdigest():
            raise supervise.ControlError(
                str(said.get("refused", "what the scribe wrote is not what it said"))
            )
        return found

    def close(self) -> None:
        os.close(self._file)


def _work(
    control: socket.socket, file: int, places: Sequence[bytes], hidden: Sequence[bytes]
) -> int:
    # Here, not before the fork: the supervisor has other work meanwhile.
    from sluicegate.cli.inventory import Inventory
    from sluicegate.evidence import workspace

    try:
        seen = Inventory(places, hidden)
        seen.take()
        control.sendall(b'{"ready":true}\n')
        asked = json.loads(control.makefile("rb").readline() or b"{}")
        if "compare" not in asked:
            return 1
        gathered = workspace.Gathered()
        seen.compare(gathered)
        text = workspace.manifest(
            tuple(seen.trees),
            gathered,
            seen.digest,
            tuple(seen.unread),
            frozenset(seen.gaps),
            asked["compare"],
        )
        view = memoryview(text)
        while view:
            view = view[os.write(file, view) :]
        said = {"sha256": hashlib.sha256(text).hexdigest()}
    except ConnectionError:
        return 1  # the supervisor is gone: nobody is left to tell
    except OSError as error:
        said = {"refused": f"the workspace could not be looked at: {error.strerror}"}
    with contextlib.suppress(ConnectionError):
        control.sendall(json.dumps(said).encode() + b"\n")
    return 0
