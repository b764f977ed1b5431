"""VERIFY.md: how to check a packet with what every machine has; made from the record, as the summary is. Pure."""

from __future__ import annotations

from sluicegate.verify.packet import Report

_PAGE = r"""# Check this packet with openssl and sha256sum

For a POSIX shell in this directory, with coreutils and OpenSSL 3. Whoever could swap the packet could swap these
lines too: the same are in sluicegate's source (verify/verifymd.py). What the record claims of itself:

- run: `sluicegate/run/@NONCE@`
- signer: `@SIGNER@` (a claim; the key to check against must come from elsewhere)

The key you know, as 64 hexadecimal digits or as the file that `sluicegate keygen` wrote:

```sh
KEY=${KEY:-release.pub}
T=$(mktemp -d)
case $KEY in
  *[!0-9a-fA-F]*) sed -n 2p "$KEY" >"$T/key" ;;
  *) openssl asn1parse -genstr "FORMAT:HEX,OCT:$KEY" -noout -out "$T/der" && tail -c 32 "$T/der" | base64 >"$T/key" ;;
esac
printf '%s\n' '-----BEGIN PUBLIC KEY-----' "MCowBQYDK2VwAyEA$(cat "$T/key")" '-----END PUBLIC KEY-----' >"$T/key.pem"
signed() { openssl pkeyutl -verify -pubin -inkey "$T/key.pem" -rawin -in "$T/$1" -sigfile "$T/$1.sig"; }
```

The signature over the tree head. The last `sluicegate: checkpoint` line of the run's log must say the same:

```sh
head -n 3 checkpoint >"$T/head"
sed -n '5s/.* //p' checkpoint | base64 -d | tail -c 64 >"$T/head.sig"
signed head && cat "$T/head"
```

The signatures of both seals (DSSE over in-toto statements):

```sh
unpack() {
  sed 's/.*"payload":"\([^"]*\)".*/\1/' "$1.sigstore.json" | base64 -d >"$T/$1.json"
  sed 's/.*"sig":"\([^"]*\)".*/\1/' "$1.sigstore.json" | base64 -d >"$T/$1.sig"
  printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c <"$T/$1.json")" | cat - "$T/$1.json" >"$T/$1"
}
unpack seal && signed seal && unpack probes && signed probes
```

Every file against the seal, and that there are no others. It means something after the signatures were found good:

```sh
sed 's/.*"subject":\[//' "$T/seal.json" | tr '{' '\n' |
  sed -n 's/^"sha256":"\([0-9a-f]*\)"},"name":"\([A-Za-z0-9._-]*\)"}.*/\1  \2/p' >"$T/files"
sha256sum --strict -c "$T/files" && ls -A | grep -Fvx seal.sigstore.json | LC_ALL=C sort >"$T/here" &&
  sed 's/.*  //' "$T/files" | LC_ALL=C sort | diff - "$T/here"
```

All of it good means: the holder of your key signed, for this run, the SHA-256 of each of these files and of no other
(the seal itself excepted). It does not show that the lines of
`evidence.jsonl` are the leaves of the signed tree, that each receipt is signed and chained, that the facts and the
policy are those of the receipts, or that the summary is what they say. For that:

    sluicegate verify . --key KEY
    node sluicegate-verify.js . --key KEY
"""


def of_the_run(report: Report) -> str:
    """The page for the record that `report` is of: its run and its signer, as claims, are all that varies."""
    return _PAGE.replace("@NONCE@", report.run_nonce).replace("@SIGNER@", report.signer_key)
