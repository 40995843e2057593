from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlroom.redaction import forget_secrets, is_sensitive_name


@pytest.fixture(autouse=True)
def nothing_outlives_its_test() -> Iterator[None]:
    """No secret, and no answer from before: a cache would answer for code that was broken since."""
    forget_secrets()
    is_sensitive_name.cache_clear()
    yield
    forget_secrets()
