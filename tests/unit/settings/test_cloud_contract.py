"""The double of AWS keeps the contract that the emulator is held to in tests/integration/test_settings_cloud.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlroom.settings.cloud.rotation import forget_cached_secrets
from tests.unit.settings.cloud_contract import CloudContract, load
from tests.unit.settings.cloud_doubles import FakeAws, installed

__all__ = ["TestTheDouble", "cloud", "load"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    forget_cached_secrets()
    yield installed(FakeAws(), monkeypatch)
    forget_cached_secrets()


class TestTheDouble(CloudContract):
    pass
