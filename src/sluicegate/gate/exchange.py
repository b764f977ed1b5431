"""SHELL. One clear HTTP request and its response: both rebuilt from the parse, both streamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol
from sluicegate.gate import denials
from sluicegate.gate.bodies import Body
from sluicegate.gate.dial import reset
from sluicegate.gate.head import head
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import BROKEN, READ, WRITE, Alarm, Loop
from sluicegate.gate.machine import MAX_WORK_BYTES
from sluicegate.gate.meter import Meter, Stream
from sluicegate.gate.passage import Barred, Passage
from sluicegate.gate.push import push, words
from sluicegate.gate.websocket import Ended, WebSocket
from sluicegate.gate.whole import CONTINUE
from sluicegate.wire import http, websocket
from sluicegate.wire.cursor import WireError

READ_BYTES = 65_536
# Bytes that may wait for a slow side before the other one is no longer read. Slow sides may be thousands, and each
# holds as much each way; four times this gains a quarter of the throughput and costs 1.2 GB.
HIGH_WATER = 65_536
MAX_INTERIM = 16  # 1xx responses before the final one
_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110 section 9.2.1


@dataclass(slots=True)
class Result:
    """How it ended. `rest`: the client's bytes after the request, None if the connection is over.

    `upstream`: still open, to be used again or closed. `last`: words to send to the client first.
    `again`: the upstream was gone without a byte, and the request may be sent once more.
    `kernel`: bytes up and down as the kernel counted them; None within TLS, which it does not see into.
    `frames`: those of a WebSocket, up and down.
    `barred`: the passage let no more through; the client is still open if no response had begun.
    """

    reason: str
    bytes_up: int
    bytes_down: int
    status: int | None
    rest: bytes | None = None
    upstream: Stream | None = None
    last: bytes = b""
    again: bool = False
    kernel: tuple[int, int] | None = None
    frames: tuple[int, int] | None = None
    barred: Decision | None = None


class Exchange:
    """`done(result)` is called once; the client's socket is open and unwatched then, or reset."""

    def __init__(
        self,
        loop: Loop,
        client: Stream,
        upstream: Stream,
        request: http.Request,
        facts: Facts,
        passage: Passage,
        rest: bytes,
        limits: Limits,
        done: Callable[[Result], None],
        alarm: Alarm | None = None,
    ) -> None:
        self._loop, self._client, self._upstream = loop, client, upstream
        self._request, self._done, self._over = request, done, False
        self._passage = passage
        self._sending = Body(request.framing, request.length)
        self._response: http.Response | None = None
        self._receiving: Body | None = None
        self._heard = b""
        self._interim = self._work = 0
        # A server may leave a body unread (of a GET as of a POST to a path that it does not know) and take it for the
        # next request of the connection, one that nobody judged: nothing follows a body.
        # Nor an offer of another protocol: it may have begun, whatever the server answers.
        self._last = not self._sending.done or request.upgrade is not None
        sent = replace(request, keep_alive=False) if self._last else request
        self._up, self._down = bytearray(head(sent, facts)), bytearray()
        self._bytes_up = self._bytes_down = 0
        self._meter: Meter | None = None
        self._kernel: tuple[int, int] | None = None
        if facts.protocol is not Protocol.HTTPS:
            self._meter = Meter(upstream, client)
        self._client_ended = self._switched = self._early = False
        self._frames: WebSocket | None = None
        self._began = rest
        self._limits, self._seen = limits, -1
        self._alarm = alarm or Alarm(loop)
        self._alarm.set(limits.idle_http_s, self._check)

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        try:
            rest, self._began = self._began, b""
            self._passage.head(len(self._up))
            self._up += self._sending.feed(rest, self._passage.up)
        except Barred as refusal:
            self._bar(refusal.decision)
            return
        except WireError as error:
            self._fault(str(error))
            return
        if self._request.expect_continue and not self._sending.done:
            # The decision is made: nothing else could keep the client waiting for this.
            self._down += CONTINUE
        self._step()

    def abort(self, reason: str) -> None:
        """Reset both sides."""
        if self._frames is not None:
            self._frames.cancel()
        self._release()
        reset(self._upstream)
        reset(self._client)
        self._finish(Result(reason, self._bytes_up, self._bytes_down, self._status))

    @property
    def _status(self) -> int | None:
        return None if self._response is None else self._response.status

    def _client_ready(self, events: int) -> None:
        if events & BROKEN and not self._reads_client:
            # Not a half-close, which hangs up nothing: nobody is left to answer.
            self.abort("client reset")
            return
        # Its next request, or its end. Until there is one, it costs less to be told than not to ask.
        self._early = not self._reads_client and bool(events & READ)
        if events & ~WRITE and self._reads_client:
            try:
                data = self._client.recv(READ_BYTES)
                if data:
                    self._up += self._sending.feed(data, self._passage.up)
                else:
                    self._client_ended = True
                    self._sending.end()
            except BlockingIOError:
                pass
            except Barred as refusal:
                self._bar(refusal.decision)
                return
            except (OSError, WireError) as error:
                self.abort(f"client: {words(error)}")
                return
        self._step()

    def _upstream_ready(self, events: int) -> None:
        if events & ~WRITE and self._reads_upstream:
            # Also after a reset: a response may be waiting before it.
            try:
                data = self._upstream.recv(READ_BYTES)
                self._receive(data)
            except BlockingIOError:
                pass
            except Barred as refusal:
                self._bar(refusal.decision)
                return
            except (OSError, WireError) as error:
                self._broken(words(error))
                return
        if not self._over:
            self._step()

    def _receive(self, data: bytes) -> None:
        if self._receiving is None:
            if not data:
                raise WireError("ended before a response")
            self._heard += data
            self._work += len(self._heard)
            if self._work > MAX_WORK_BYTES:
                raise WireError("the response's head comes in too many pieces")
            if not self._read_head():
                return
            data, self._heard = self._heard, b""
            if not data or self._receiving is None:
                return
        if data:
            self._down += self._receiving.feed(data, self._passage.down)
        else:
            self._receiving.end()

    def _read_head(self) -> bool:
        """Whether the final response's head is there; its bytes are then gone from `_heard`."""
        while True:
            response = http.read_response_head(self._heard, self._request.method)
            if response is None:
                return False
            self._heard = self._heard[response.size :]
            if response.status == 101 and self._request.upgrade == websocket.PROTOCOL:
                websocket.check_answer(self._request, response)
                self._say(response)
                self._response, self._switched = response, True
                return False
            if response.status >= 200:
                break
            self._interim += 1
            if response.status == 101 or self._interim > MAX_INTERIM:
                raise WireError("an interim response that was not asked for")
            if response.status != 100 and self._request.version_minor:
                self._say(replace(response, keep_alive=True))
        # A client of HTTP/1.0 knows no chunks: its body ends with the connection.
        chunked = self._request.version_minor == 1
        self._receiving = Body(response.framing, response.length, chunked=chunked, response=True)
        framing = response.framing
        if framing is http.Framing.CHUNKED and not chunked:
            framing = http.Framing.UNTIL_CLOSE
        keeps = self._keeps(response)
        same = framing is response.framing and keeps == response.keep_alive
        self._say(response if same else replace(response, framing=framing, keep_alive=keeps))
        self._response = response
        return True

    def _say(self, response: http.Response) -> None:
        data = http.write_response(response)
        self._passage.answer(data)
        self._down += data

    def _keeps(self, response: http.Response | None) -> bool:
        return (
            self._request.keep_alive
            and self._request.version_minor == 1
            and self._sending.done
            and not self._client_ended
            and response is not None
            and response.framing is not http.Framing.UNTIL_CLOSE
        )

    @property
    def _reads_client(self) -> bool:
        idle = self._sending.done or self._client_ended
        return not idle and len(self._up) < HIGH_WATER

    @property
    def _reads_upstream(self) -> bool:
        finished = self._receiving is not None and self._receiving.done
        return not finished and len(self._down) < HIGH_WATER

    def _step(self) -> None:
        """Send what can be sent; end, or wait."""
        try:
            self._bytes_up += push(self._upstream, self._up)
        except OSError as error:
            # The response may be there all the same: a server may refuse a body before its end.
            self._up.clear()
            why = None if self._response is not None else self._late_answer(words(error))
            if why is not None:
                self._broken(why)
            if self._over:
                return
        if self._switched:
            self._switch()
            return
        try:
            self._bytes_down += push(self._client, self._down)
        except OSError as error:
            self.abort(f"client: {words(error)}")
            return
        if self._receiving is not None and self._receiving.done and not self._down:
            self._complete()
            return
        if self._client_ended and not self._sending.done:
            self.abort("client ended its request too early")
            return
        for peer, reads, out, handler in (
            (self._client, self._reads_client, self._down, self._client_ready),
            (self._upstream, self._reads_upstream, self._up, self._upstream_ready),
        ):
            events = (READ if reads else 0) | (WRITE if out else 0)
            if peer is self._client:
                # Watched even when nothing is wanted, so that its reset is seen.
                events = (events if self._early else events | READ) or BROKEN
            self._loop.want(peer.fileno(), events, handler)

    def _switch(self) -> None:
        """Frames from here on, both ways."""
        self._alarm.stop()
        waiting = (self._up, self._down)
        known = (self._loop, self._client, self._upstream, waiting, self._passage)
        self._frames = WebSocket(*known, self._limits.idle_opaque_s, self._framed)
        self._frames.start((self._sending.rest, self._heard))

    def _framed(self, end: Ended) -> None:
        self._release()
        if end.broken or end.last:
            reset(self._upstream)
        else:
            self._upstream.close()
        if end.broken:
            reset(self._client)
        known = (self._bytes_up, self._bytes_down, self._status)
        self._finish(Result(end.reason, *known, last=end.last, barred=end.barred))

    def _late_answer(self, why: str) -> str | None:
        """None, if a response had arrived before the upstream closed; else `why`, or what its alert of TLS says."""
        try:
            self._receive(self._upstream.recv(READ_BYTES))
        except Barred as refusal:
            self._bar(refusal.decision)
        except (OSError, WireError) as error:
            said = words(error)
            return said if said.startswith("tls: ") else why
        return None

    def _complete(self) -> None:
        self._settle()
        response, upstream, loop = self._response, self._upstream, self._loop
        keeps = self._keeps(response)
        kept = keeps and not self._up and not self._last
        kept = kept and response is not None and response.keep_alive and not self._stray()
        (loop.rest if keeps else loop.forget)(self._client.fileno())
        if kept:
            loop.rest(upstream.fileno())
        else:
            loop.drop(upstream.fileno())
            upstream.close()
        result = Result(records.COMPLETE, self._bytes_up, self._bytes_down, self._status)
        if keeps:
            result.rest, result.upstream = self._sending.rest, upstream if kept else None
        self._finish(result)

    def _stray(self) -> bool:
        """Bytes after the response: nobody asked for them, and nobody shall take them for the next one."""
        return self._receiving is None or bool(self._receiving.rest) or bool(self._heard)

    def _broken(self, why: str) -> None:
        """The upstream is gone or speaks no HTTP."""
        if self._response is not None or self._bytes_down:
            self.abort(f"upstream: {why}")
            return
        self._release()
        self._upstream.close()
        lossless = self._request.framing is http.Framing.NONE and not self._heard
        body = f"sluicegate: the request was allowed, but the upstream failed: {why}\n"
        self._finish(
            Result(
                f"upstream: {why}",
                *(self._bytes_up, self._bytes_down, 502),
                last=denials.unreachable(body),
                again=lossless and self._request.method in _REPEATABLE,
            )
        )

    def _bar(self, denied: Decision) -> None:
        """Nothing more goes up: what waits is thrown away, and the upstream can not take what it has for a whole."""
        self._release()
        reset(self._upstream)
        if self._response is not None and self._bytes_down:
            reset(self._client)
        elif self._response is not None:
            self._down.clear()  # it had not begun for the client, who is told why it does not
        result = Result(f"refused: {denied.reason}", self._bytes_up, self._bytes_down, self._status)
        # A 100 that waits goes before the refusal.
        result.last, result.barred = bytes(self._down), denied
        self._finish(result)

    def _fault(self, why: str) -> None:
        self._release()
        self._upstream.close()
        last = http.denial(400, f"sluicegate: {why}\n")
        self._finish(Result(f"client: {why}", self._bytes_up, self._bytes_down, 400, last=last))

    def _check(self) -> None:
        moved = self._bytes_up + self._bytes_down
        if moved == self._seen:
            self.abort("idle for too long")
            return
        self._seen = moved
        self._alarm.set(self._limits.idle_http_s / 2, self._check)

    def _settle(self) -> None:
        self._alarm.stop()
        if not self._over and self._meter is not None:
            before, (up, down) = self._kernel or (0, 0), self._meter.settle()
            self._kernel = before[0] + up, before[1] + down

    def _release(self) -> None:
        self._settle()
        for peer in (self._client, self._upstream):
            if peer.fileno() >= 0:
                self._loop.forget(peer.fileno())

    def _finish(self, result: Result) -> None:
        if not self._over:
            self._over = True
            if self._frames is not None:
                up, down = self._frames.up, self._frames.down
                moved = (result.bytes_up + up.moved, result.bytes_down + down.moved)
                result.bytes_up, result.bytes_down = moved
                result.frames = up.frames, down.frames
                self._frames = None  # it holds this exchange
            result.kernel = self._kernel
            self._done(result)
