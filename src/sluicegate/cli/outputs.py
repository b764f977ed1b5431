"""The command's outputs for later steps: a private file while it runs, the runner's own when the packet is sealed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.cli import say
from sluicegate.cli.opening import OUTPUT_VARIABLE as VARIABLE
from sluicegate.cli.opening import Handing, SetupError

if TYPE_CHECKING:
    from sluicegate.evidence.output import Outputs

SHOWN = 10  # refusals told at the end; workspace.json has more


@dataclass(frozen=True, slots=True)
class Open:
    """Descriptors of both files: ours, which inside is a mount and can not be replaced, and the runner's."""

    granted: tuple[str, ...]
    ours: int
    real: int

    def judged(self) -> Outputs:
        """What the command left in its file. Call it when nothing of the command lives."""
        from sluicegate.evidence import output  # most runs grant none

        size = os.fstat(self.ours).st_size
        if size > output.MAX_FILE_BYTES:
            why = f"the file has more than {output.MAX_FILE_BYTES} bytes"
            say.complain(f"the command's outputs are not handed on: {why}")
            return output.Outputs(refused=((VARIABLE, output.TOO_LARGE),))
        found, at = b"", 0
        while at < size and (piece := os.pread(self.ours, size - at, at)):
            found, at = found + piece, at + len(piece)
        return output.judged(found, self.granted)

    def hand_on(self, outputs: Outputs) -> None:
        """Write what was judged good into the runner's file, and say what was not."""
        from sluicegate.evidence import output

        dice = [f"ghadelimiter_{os.urandom(output.DELIMITER_BYTES).hex()}" for _ in outputs.given]
        text = output.written(outputs, dice)
        try:
            view = memoryview(b"\n" + text if text and self._unended() else text)
            while view:
                view = view[os.write(self.real, view) :]
        except OSError as error:
            say.complain(f"{VARIABLE} could not be written: {error.strerror}")
        for name, why in outputs.refused[:SHOWN]:
            hint = "name it under `agent: {outputs: [...]}`" if why == output.NOT_GRANTED else ""
            say.complain(f"output {name} is not handed on: {why}", hint)
        if len(outputs.refused) > SHOWN:
            say.complain(f"nor are {len(outputs.refused) - SHOWN} more outputs")

    def _unended(self) -> bool:
        """Whether the runner's file ends within a line: ours would be that line's, and our values' lines ours."""
        size = os.fstat(self.real).st_size
        return size > 0 and os.pread(self.real, 1, size - 1) != b"\n"


def handing(granted: Sequence[str], environ: Mapping[str, str], run: str) -> Handing:
    """How outputs are handed on in this run, which has a name that nobody could foresee."""
    real = environ.get(VARIABLE, "")
    if not granted or not real:
        return Handing()
    import tempfile  # with it come four packers, and most runs grant no outputs

    place = os.path.join(os.path.realpath(tempfile.gettempdir()), f"sluicegate-{run}")
    return Handing(tuple(granted), f"{place}/output", os.path.realpath(real))


@contextlib.contextmanager
def opened(plan: Handing, uid: int, gid: int) -> Iterator[Open | None]:
    """Both files, ours made for `uid` and taken away in the end; None where nothing is handed on.

    Raises:
        SetupError: the runner's can not be written, or ours not be made.
    """
    if not plan.path:
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            real = os.open(plan.real, flags)
            stack.callback(os.close, real)
            if not stat.S_ISREG(os.fstat(real).st_mode):
                raise SetupError(f"{VARIABLE} is no regular file")
            directory = os.path.dirname(plan.path)
            os.mkdir(directory, 0o700)
            stack.callback(_gone, os.rmdir, directory)
            new = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            ours = os.open(plan.path, new, 0o600)
            stack.callback(os.close, ours)
            stack.callback(_gone, os.unlink, plan.path)
            if os.geteuid() == 0:
                os.fchown(ours, uid, gid)
        except OSError as error:
            raise SetupError(
                f"{error.filename}: outputs can not be handed on: {error.strerror}",
                f"is {VARIABLE} this step's own?",
            ) from error
        yield Open(plan.granted, ours, real)


def _gone(remove: Callable[[str], None], path: str) -> None:
    # Where the temporary directory is writable inside, it may have been moved.
    with contextlib.suppress(OSError):
        remove(path)
