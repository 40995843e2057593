from __future__ import annotations

import logging

import pytest

from controlroom.storage.s3.silence import unlogged


@pytest.mark.parametrize("name", ["botocore.auth", "botocore.endpoint", "botocore.parsers", "aiobotocore.credentials"])
def test_what_botocore_says_of_our_requests_is_not_logged(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(name)
    with caplog.at_level(logging.DEBUG):
        token = unlogged.set(True)
        logger.debug("ours: Authorization: AWS4-HMAC-SHA256")
        unlogged.reset(token)
        logger.debug("somebody else's")

    assert [record.message for record in caplog.records] == ["somebody else's"]
