"""SHELL. One end of an HTTP/2 connection: frames in and out of one TLS peer, windows given and kept to."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from h2.config import H2Configuration
from h2.events import Event, RemoteSettingsChanged, WindowUpdated
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from sluicegate.gate import h2guard, h2head
from sluicegate.gate.h2guard import Connection, ConnectionFaultError, Frames, Guard
from sluicegate.gate.h2head import Fields
from sluicegate.gate.h2pipe import FIRST_WINDOW, GROWTH_BYTES, Pipe
from sluicegate.gate.loop import BROKEN, READ, WRITE, Loop
from sluicegate.gate.secure import Secure
from sluicegate.wire.http import MAX_HEAD_BYTES

# Requests of one client at once. A stream costs some 10 KB beside its windows.
MAX_STREAMS = 1024
# Twice what all windows of its streams come to: a stream that nobody reads shall not stop the others.
CONNECTION_WINDOW = 2 * (MAX_STREAMS * FIRST_WINDOW + GROWTH_BYTES)
OWED_BYTES = 1_048_576  # given back to the connection at a time
READ_BYTES = 65_536
# Frames of one peer before it is others' turn: one read may hold seven thousand, and each takes some 50 us. Bytes that
# are sent in a turn are bounded for the same reason.
FRAMES_A_TURN, SENT_A_TURN = 256, 1_048_576
NEXT_TURN_S = 1e-6  # not now, but with the next turn of the loop
FRAME_BYTES = 16_384  # of one stream before it is another one's turn
# Framed and not sent yet: beyond the first no request, response or data is framed, beyond the second (answers to PING
# and SETTINGS, resets) the peer is not read either.
OUT_BYTES = 65_536
STOP_BYTES = 1_048_576
# What h2 and its parts raise for bytes that they can not take.
_BAD = (H2Error, HPACKError, HyperframeError, ValueError, LookupError, TypeError, AssertionError)


class Side:
    """`heard(event)` for each of the peer's events; `broken(error)` once, when nothing can be read or sent any more.

    `room()` is asked for more whenever there is room to send. Nothing is called after `close`.
    """

    def __init__(
        self,
        loop: Loop,
        secure: Secure,
        *,
        client: bool,
        heard: Callable[[Event], None],
        broken: Callable[[Exception], None],
        room: Callable[[], None] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> None:
        """`client`: we are the client of this peer. `leaving()` is called when it has set `goaway`."""
        self.secure, self._loop = secure, loop
        self._heard, self._broken, self._room, self._leaving = heard, broken, room, leaving
        self._frames, self.guard = Frames(preface=not client), Guard(loop.now)
        # Heads are checked by `h2head`, which says more, and makes only good ones.
        config = H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
        )
        self._conn = Connection(config)
        self.out = bytearray()
        self._ready = OrderedDict[Pipe, None]()
        self._pipes = dict[int, Pipe]()
        # Frames in `out` that are some pipe's: where they end in all that was ever sent, their
        # size, and whether they are the last.
        self._marks = deque[tuple[int, Pipe, int, bool]]()
        self._gone = 0
        self._owed, self._growth = 0, GROWTH_BYTES
        self._due = self.over = self.paused = self._behind = self._told = False
        # Whether the peer has stated its settings, and taken ours: before that its streams have the usual windows.
        self.settled = self.heeded = False
        self.goaway: tuple[int, int] | None = None
        self.moved = 0  # bytes both ways, to see whether it is idle

    def start(self) -> None:
        """State our settings, and listen."""
        conn = self._conn
        at_once = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
        }
        later = {SettingCodes.INITIAL_WINDOW_SIZE: FIRST_WINDOW}
        client = bool(conn.config.client_side)
        conn.local_settings = Settings(client=client, initial_values=at_once | later)
        conn.initiate_connection()
        # All was said in one frame, but the peer may send by the usual window until it acknowledges.
        conn.local_settings = Settings(client=client, initial_values=at_once)
        for code, value in later.items():
            conn.local_settings[code] = value
        conn.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        # Its first bytes may have come with its last of the handshake, and then wait in our own memory.
        self._event(READ)

    def close(self) -> None:
        """Nothing is read, sent or called any more; the peer stays open."""
        self.over = True
        self._ready.clear()
        self._pipes.clear()
        if self.secure.fileno() >= 0:
            self._loop.forget(self.secure.fileno())

    def farewell(self, code: int) -> None:
        """Have GOAWAY as the last of `out`, which somebody else sends."""
        self.out += self._conn.data_to_send()
        if not self._told:
            self._told = True
            self.out += h2guard.goaway(self._conn.highest_inbound_stream_id, code)

    # In.

    def _event(self, events: int) -> None:
        if events & ~WRITE and self._reads:
            try:
                data = self.secure.recv(READ_BYTES)
            except BlockingIOError:
                data = None
            except OSError as error:
                self._end(error)
                return
            if data == b"":
                self._end(ConnectionResetError("ended the connection"))
                return
            if data:
                self.moved += len(data)
                self._frames.feed(data)
                self.work()
        elif events & BROKEN and self._behind:
            # What came before it is still to be worked on.
            self._loop.forget(self.secure.fileno())
            return
        elif events & BROKEN and not self._reads:
            self._end(ConnectionResetError("reset the connection"))
            return
        self.touch()

    def work(self) -> None:
        """Go through the frames that are there, though not through all at once: others want their turn."""
        left = 0 if self._behind else FRAMES_A_TURN
        try:
            while left and not self.over and not self.paused and (found := self._frames.next()):
                self._frame(*found)
                left -= 1
                if not left:
                    self._behind = True
                    self._loop.after(NEXT_TURN_S, self._go_on)
        except ConnectionFaultError as fault:
            self._end(fault)

    def _go_on(self) -> None:
        self._behind = False
        if not self.over:
            self.work()
            self.touch()

    def _frame(self, kind: int, flags: int, data: bytes) -> None:
        if kind >= 0:
            self.guard.frame(kind, flags, len(data) - h2guard.HEAD_BYTES, self._loop.now)
        if kind == h2guard.GOAWAY:
            # Not for h2, which would let nothing through any more: what was taken is still to be finished.
            self.goaway = h2guard.last_stream(data)
            if self._leaving is not None:
                self._leaving()
            return
        try:
            found = self._conn.receive_data(data)
        except _BAD as error:
            self._told = isinstance(error, ProtocolError)  # h2 has written the GOAWAY
            # Without what the peer said itself, which may be what nobody shall read; of some only a stream's number.
            said = str(error).partition(":")[0]
            said = f"a frame for stream {said}, which is not open" if said.isdigit() else said
            raise ConnectionFaultError(f"HTTP/2: {said}") from error
        if kind == h2guard.SETTINGS and flags & h2guard.ACK:
            self.heeded = True
        elif kind == h2guard.SETTINGS:
            self.settled = True
        for event in found:
            if isinstance(event, WindowUpdated):
                self._reoffer(event.stream_id)
            elif isinstance(event, RemoteSettingsChanged):
                self._reoffer(None)
            if not self.over:
                self._heard(event)

    def _reoffer(self, stream: int | None) -> None:
        """More may be sent to one stream; None: to any."""
        some = self._pipes.values() if stream is None else (self._pipes.get(stream),)
        for pipe in some:
            if pipe is not None and pipe.more:
                self._ready[pipe] = None

    def measured(self, stream: int) -> None:
        """The length of this stream's content is checked by whoever called; h2 would end the whole connection."""
        if (known := self._conn.streams.get(stream)) is not None:
            known._expected_content_length = None

    def spared(self, size: int) -> None:
        """`size` bytes of the peer do not wait here: as many may come on the connection."""
        self._owed += size
        if self._owed >= OWED_BYTES and not self.over:
            self._conn.increment_flow_control_window(self._owed)
            self._owed = 0
            self.touch()

    def taken(self, pipe: Pipe, size: int) -> None:
        """`size` bytes of the peer's stream have gone on, or were thrown away: as many may come."""
        if self.over or not size:
            return
        self.spared(size)
        stream = self._conn.streams.get(pipe.source_id)
        if pipe.ended or pipe.dead or stream is None or not stream.open:
            return
        pipe.owed += size
        if 2 * pipe.owed >= pipe.window:
            grown = pipe.grown(self._growth)
            self._growth -= grown
            self._conn.increment_flow_control_window(pipe.owed + grown, pipe.source_id)
            pipe.owed = 0
            self.touch()

    def shrunk(self, pipe: Pipe) -> None:
        """The peer sends nothing more on this stream: what its window had grown by is for others."""
        self._growth += pipe.window - FIRST_WINDOW
        pipe.window = FIRST_WINDOW

    # Out.

    @property
    def free(self) -> int:
        """Streams that we may still open: none before the peer has said how many it takes."""
        if not self.settled:
            return 0
        most = min(int(self._conn.remote_settings.max_concurrent_streams), MAX_STREAMS)
        return most - self._conn.open_outbound_streams

    @property
    def full(self) -> bool:
        """Whether nothing more should be framed until some of it is sent."""
        return len(self.out) >= OUT_BYTES

    def open(self, fields: Fields, pipe: Pipe) -> int:
        """Begin a stream with the request's head; what follows comes from `pipe`. The stream's number.

        Raises:
            H2Error: no numbers are left.
        """
        self.out += self._conn.data_to_send()
        stream = self._conn.get_next_available_stream_id()
        self._send_head(stream, fields, pipe)
        pipe.sink_id = stream
        self.attach(pipe)
        return stream

    def attach(self, pipe: Pipe) -> None:
        """What `pipe` holds, now or later, goes to its `sink_id`."""
        if not self.over and not pipe.done and not pipe.dead:
            self._pipes[pipe.sink_id] = pipe
            self.offer(pipe)

    def detach(self, pipe: Pipe) -> None:
        """Nothing of `pipe` goes here any more."""
        self._ready.pop(pipe, None)
        if self._pipes.get(pipe.sink_id) is pipe:
            del self._pipes[pipe.sink_id]

    def offer(self, pipe: Pipe) -> None:
        """There is something new in `pipe`."""
        if not self.over and pipe.more:
            self._ready[pipe] = None
            self.touch()

    def reset(self, stream: int, code: int) -> None:
        """RST_STREAM, if the stream is still open in any direction."""
        pipe = self._pipes.pop(stream, None)
        if pipe is not None:
            self._ready.pop(pipe, None)
        known = self._conn.streams.get(stream)
        if not self.over and known is not None and known.open:
            self._conn.reset_stream(stream, code)
            self.touch()

    def touch(self) -> None:
        """Send in this turn, once all of its events are worked on."""
        if not self._due and not self.over:
            self._due = True
            self._loop.after(0, self._settle)

    def _settle(self) -> None:
        self._due, until = False, self._gone + SENT_A_TURN
        while not self.over:
            self._fill()
            if not self.out or self._gone >= until:
                break
            try:
                size = self.secure.send(self.out)
            except BlockingIOError:
                break
            except OSError as error:
                self._end(error)
                return
            del self.out[:size]
            self._sent(size)
        if not self.over:
            events = (READ if self._reads else 0) | (WRITE if self.out else 0)
            self._loop.want(self.secure.fileno(), events | BROKEN, self._event)

    @property
    def _reads(self) -> bool:
        return not (self.paused or self._behind) and len(self.out) < STOP_BYTES

    def _fill(self) -> None:
        """Frame what may be sent, every stream in its turn."""
        self.out += self._conn.data_to_send()
        if self._room is not None and not self.full:
            self._room()
        while self._ready and not self.full and not self.over:
            pipe, _ = self._ready.popitem(last=False)
            try:
                more = self._send(pipe)
            except H2Error as error:
                self._end(ConnectionFaultError(f"HTTP/2: {error}"))
                return
            if more:
                self._ready[pipe] = None
            elif pipe.body and self._conn.outbound_flow_control_window <= 0:
                self._ready[pipe] = None
                break
        self.out += self._conn.data_to_send()

    def _send(self, pipe: Pipe) -> bool:
        """One frame, or one head; whether there may be more at once."""
        stream, conn = pipe.sink_id, self._conn
        if not pipe.more:
            return False
        self.out += conn.data_to_send()  # so that what follows is the frame alone
        if pipe.heads:
            self._send_head(stream, pipe.next_head(), pipe)
        elif pipe.body:
            room = min(conn.local_flow_control_window(stream), conn.max_outbound_frame_size)
            if room <= 0:
                return False
            piece = bytes(pipe.body[: min(room, FRAME_BYTES)])
            if not pipe.passes(piece):
                return False
            pipe.drop(len(piece))
            conn.send_data(stream, piece, end_stream=pipe.last)
            self._framed(pipe)
            if pipe.source is not None:
                pipe.source.taken(pipe, len(piece))
            self.guard.sent(len(piece))
        elif pipe.trailers is not None:
            if pipe.passes(h2head.lines(pipe.trailers), last=True):
                fields = pipe.trailers
                pipe.put_trailers(None)
                self._send_head(stream, fields, pipe)
        else:
            conn.end_stream(stream)
            self._framed(pipe)
        return pipe.more

    def _send_head(self, stream: int, fields: Fields, pipe: Pipe) -> None:
        self._conn.send_headers(stream, fields, end_stream=pipe.last)
        self._framed(pipe)

    def _framed(self, pipe: Pipe) -> None:
        data = self._conn.data_to_send()
        self.out += data
        self._marks.append((self._gone + len(self.out), pipe, len(data), pipe.last))
        if pipe.last:
            pipe.done = True
            self._pipes.pop(pipe.sink_id, None)

    def _sent(self, size: int) -> None:
        """`size` bytes more have gone: only they count."""
        self.moved += size
        self._gone += size
        while self._marks and self._marks[0][0] <= self._gone:
            _, pipe, length, last = self._marks.popleft()
            pipe.count += length
            if last:
                pipe.sent = True
                pipe.when_sent()

    def _end(self, error: Exception) -> None:
        if not self.over:
            self.close()
            self._broken(error)
