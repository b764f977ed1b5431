"""Whether requests were signed with the key, by AWS's own signer: `python amazon_seen.py KEY_ID SECRET <lines of JSON`.

Prints of each its method, its target, and "good" or the signature that it should have had.
"""

import base64
import json
import re
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FORM = r"AWS4-HMAC-SHA256 Credential=(.*?)/\d{8}/(.*?)/(.*?)/aws4_request, ?SignedHeaders=(.*?), ?Signature=(.*)"
for line in sys.stdin:
    seen = json.loads(line)
    headers = {name.lower(): value for name, value in seen["headers"]}
    key_id, region, service, names, signature = re.fullmatch(
        FORM, headers["authorization"]
    ).groups()
    assert key_id == sys.argv[1]
    signed = {name: headers[name] for name in names.split(";")}
    request = AWSRequest(
        method=seen["method"],
        url=f"https://{headers['host']}{seen['target']}",
        headers=signed,
        data=base64.b64decode(seen["body"]),
    )
    request.context["timestamp"] = headers["x-amz-date"]
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(Credentials(key_id, sys.argv[2]), service, region)
    wanted = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    said = "good" if wanted == signature else wanted
    print(seen["method"], seen["target"], headers.get("x-amz-content-sha256", "-")[:24], said)
