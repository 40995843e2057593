from __future__ import annotations

import json
from base64 import b64decode

from controlroom.storage import S3Encryption
from controlroom.storage.s3.encryption import encrypted_by


def test_no_encryption_asks_for_none() -> None:
    assert encrypted_by(None) == {}


def test_only_what_was_given_is_asked_for() -> None:
    assert encrypted_by(S3Encryption("AES256")) == {"ServerSideEncryption": "AES256"}


def test_everything_that_kms_takes_is_passed_on() -> None:
    asked = encrypted_by(S3Encryption("aws:kms", kms_key_id="alias/k", context={"team": "ü"}, bucket_key=False))

    assert json.loads(b64decode(asked.pop("SSEKMSEncryptionContext"))) == {"team": "ü"}
    assert asked == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/k", "BucketKeyEnabled": False}
