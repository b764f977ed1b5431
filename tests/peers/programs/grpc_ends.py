"""gRPC without generated code. `serve PEM`: says its port, then serves. `call TARGET CA NAME`: says what came back.

The three kinds of call: one answer, a stream of them, and both at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc

SERVICE = "demo.Echo"


def serve(pem: bytes) -> None:
    def one(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("x-trailer", "yes"),))
        return request[::-1]

    def count(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
        return (b"%d" % n for n in range(int(request)))

    def both(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        return (request * 2 for request in requests)

    def fail(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return b""

    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(one),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    credentials = grpc.ssl_server_credentials([(pem, pem)])
    print(server.add_secure_port("127.0.0.1:0", credentials), flush=True)
    server.start()
    server.wait_for_termination()


def call(target: str, root: bytes, name: str) -> None:
    options = [("grpc.ssl_target_name_override", name), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(target, grpc.ssl_channel_credentials(root), options) as channel:
        answer, ended = channel.unary_unary(f"/{SERVICE}/One").with_call(b"abc", timeout=20)
        print(answer, ended.code(), dict(ended.trailing_metadata() or ()).get("x-trailer"))
        counted = list(channel.unary_stream(f"/{SERVICE}/Count")(b"1000", timeout=20))
        print(len(counted), counted[-1])
        # Each is sent once the answer to the one before has come.
        turns = list[bytes]()

        def talk() -> Iterator[bytes]:
            for n in range(50):
                yield b"%d," % n
                while len(turns) <= n:
                    pass

        for said in channel.stream_stream(f"/{SERVICE}/Both")(talk(), timeout=20):
            turns.append(said)
        print(len(turns), turns[-1])
        big = channel.unary_unary(f"/{SERVICE}/One")(b"x" * 3_000_000, timeout=20)
        print(len(big))
        for method in ("Fail", "Denied"):
            try:
                channel.unary_unary(f"/{SERVICE}/{method}")(b"", timeout=20)
            except grpc.RpcError as error:
                print(method, error.code().name, error.details())


if sys.argv[1] == "serve":
    serve(Path(sys.argv[2]).read_bytes())
else:
    call(sys.argv[2], Path(sys.argv[3]).read_bytes(), sys.argv[4])
