from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlroom.redaction import forget_secrets


@pytest.fixture(autouse=True)
def no_secret_outlives_its_test() -> Iterator[None]:
    yield
    forget_secrets()
