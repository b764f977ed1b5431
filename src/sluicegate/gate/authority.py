"""SHELL. The authority of one run: its key in this process's memory, and a TLS context for each name it answers as."""

from __future__ import annotations

import fcntl
import os
import ssl
from collections import OrderedDict
from datetime import UTC, datetime

from sluicegate.gate import certificates
from sluicegate.policy.opening import Names

# Longer than the jobs of hosted runners may take; what comes later is refused and says why.
HOURS = 24
# Contexts kept. One takes about 25 KB, so all take 13 MB; a run that speaks to more names than this
# pays the 1 ms of a new one, and its clients a full handshake.
MAX_CONTEXTS = 512
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Authority:
    """Certificates for the names that the policies may open, made when they are needed, signed by a key of this run.

    `pem` is the authority's own certificate, which is public. Neither its key nor that of the leaves is in a file:
    OpenSSL takes a leaf's from a memory file that is sealed before and gone after it is read.
    """

    def __init__(self, names: Names | None, run: str, hours: int = HOURS) -> None:
        """`names` as `policy.opening.can_open` gives them.

        Raises:
            AuthorityError: there is no name, or there are too many.
        """
        self._issuer = certificates.issuer(names, run, hours, datetime.now(UTC))
        self._key = certificates.new_key()
        self._key_pem = certificates.key_pem(self._key)
        self._leaves = OrderedDict[str, bytes]()
        self._contexts = OrderedDict[tuple[str, tuple[str, ...]], ssl.SSLContext]()
        self.pem = self._issuer.pem

    def context(self, name: str, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A server's context for `name` that agrees on the first of `alpn` which the client offers too.

        The same one for the same arguments as long as it is kept, so that a client's ticket is good for it.

        Raises:
            AuthorityError: not a name, or not one that the policies may open.
        """
        asked = (name, alpn)
        found = self._contexts.get(asked)
        if found is None:
            found = self._contexts[asked] = self._new(name, alpn)
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(asked)
        return found

    def _new(self, name: str, alpn: tuple[str, ...]) -> ssl.SSLContext:
        leaf = self._leaves.get(name)
        if leaf is None:
            leaf = certificates.leaf(self._issuer, self._key, name, datetime.now(UTC))
            self._leaves[name] = leaf
            if len(self._leaves) > MAX_CONTEXTS:
                self._leaves.popitem(last=False)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        _load(made, self._key_pem + leaf)
        if alpn:
            made.set_alpn_protocols(list(alpn))
        return made


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Gives key and certificate to OpenSSL, which reads them from files alone (memfd_create(2), Linux 3.17)."""
    memory = os.memfd_create("sluicegate-leaf", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(memory, pem)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
