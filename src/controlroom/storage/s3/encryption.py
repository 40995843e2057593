"""Encryption by the server, as the parameters of a call that writes."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from controlroom.storage.s3.options import S3Encryption

__all__ = ["encrypted_by"]


def encrypted_by(encryption: S3Encryption | None) -> dict[str, Any]:
    """Return the parameters of PutObject, CreateMultipartUpload or CopyObject that ask for *encryption*; none for None."""
    if encryption is None:
        return {}
    given: dict[str, Any] = {
        "ServerSideEncryption": encryption.algorithm,
        "SSEKMSKeyId": encryption.kms_key_id,
        "BucketKeyEnabled": encryption.bucket_key,
    }
    if encryption.context is not None:
        given["SSEKMSEncryptionContext"] = b64encode(json.dumps(dict(encryption.context)).encode()).decode("ascii")
    return {name: value for name, value in given.items() if value is not None}
