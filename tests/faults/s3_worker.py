"""Publishes a large object to S3, in a child for each line it reads, until somebody kills the child."""

from __future__ import annotations

import os
import sys

from controlroom.storage import S3Store

PART = 5 * 1024 * 1024

if __name__ == "__main__":
    url, prefix = sys.argv[1:]
    login = {name: os.environ[f"S3_{name.upper()}"] for name in ("region", "access_key_id", "secret_access_key")}
    store = S3Store("shared", prefix, endpoint_url=url, part_size_bytes=PART, parallel=1, **login)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            store.publish("a", b"l" * PART + b"and a part more")
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
