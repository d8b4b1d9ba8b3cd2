"""Signs the requests received by a bucket again with the library of AWS's own tools, and compares the signatures.

Requires botocore: `python signatures.py LOG HOST KEY SECRET`, with a log of moto's.
"""

import re
import sys

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REQUEST = re.compile(r'"([A-Z]+) (\S+\?\S*X-Amz-Date=(\w+)\S*)&X-Amz-Signature=(\w+) HTTP')


def main():
    log, host, key, secret = sys.argv[1:]
    signer = S3SigV4QueryAuth(Credentials(key, secret), "s3", "us-east-1")
    seen = {}
    with open(log, encoding="utf-8") as lines:
        for method, target, date, signature in REQUEST.findall(lines.read()):
            # moto's log decodes escapes in a query: only the slashes of the credential are escaped.
            path, query = target.split("?", 1)
            request = AWSRequest(method, f"http://{host}{path}?{query.replace('/', '%2F')}")
            request.context["timestamp"] = date
            expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
            kind = method + (" of a part" if "partNumber" in query else " of an upload" if "upload" in query else "")
            if signature != expected:
                sys.exit(f"{kind} {target}: the signature is {signature}, expected {expected}")
            seen[kind] = seen.get(kind, 0) + 1
    print(", ".join(f"{n} {kind}" for kind, n in sorted(seen.items())))


if __name__ == "__main__":
    main()
