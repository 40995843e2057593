"""Sends a part of an object to S3, says so, and waits to be killed."""

from __future__ import annotations

import os
import sys
import threading

from controlroom.storage import S3Store

PART = 5 * 1024 * 1024

if __name__ == "__main__":
    login = {
        name: os.environ[f"S3_{name}"] for name in ("endpoint_url", "region", "access_key_id", "secret_access_key")
    }
    store = S3Store(
        os.environ["S3_BUCKET"], os.environ["S3_PREFIX"], part_size_bytes=PART, uploads_journal=sys.argv[1], **login
    )
    with store.writer("a") as file:
        file.write(bytes(2 * PART + 1))
        print("a part is sent", flush=True)
        threading.Event().wait(300)
