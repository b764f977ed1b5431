"""Every limit of the gate, with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass

MAX_HELLO_BYTES = 16_384  # a real ClientHello is under 4 KiB, post-quantum key shares included
MAX_HEAD_BYTES = 65_536  # cookies reach tens of KiB; more is an attack on memory

# Of all receipts of one run, as the notary is given them: more than half a million. A command that makes connections
# without end must not fill the disk.
RECORD_BYTES = 1_073_741_824

# Of all HTTP/2 requests of one run at once, heads and contents that wait included: 16,384 of them, or sixteen clients
# whose every stream has sent a whole first window. A runner's machine has some GB for everything.
H2_BYTES = 268_435_456


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits one run is served with; times in seconds.

    `head_s` is a total for all of hello or head, not a pause between bytes:
    a byte a minute gains nothing.
    """

    connections: int = 2000  # two descriptors and a pipe each stay well under common hard limits
    grace_s: float = 0.3  # a client that waits for the server to speak should not notice it
    first_bytes_s: float = 30.0  # a name and port that no rule allows is not kept waiting longer
    head_s: float = 30.0
    connect_s: float = 10.0  # an upstream that never answers
    stagger_s: float = 0.25  # RFC 8305 section 5: connection attempt delay
    idle_opaque_s: float = 3600.0  # long builds keep quiet SSH and database sessions
    idle_http_s: float = 300.0  # a slow answer is a matter of minutes, a forgotten one of hours
    h2_bytes: int = H2_BYTES
    record_bytes: int = (
        RECORD_BYTES  # beyond it nothing new is begun, and refusals are only counted
    )
