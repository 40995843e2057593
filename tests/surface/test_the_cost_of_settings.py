"""`controlroom.settings` adds little to what pydantic-settings itself costs: counted in modules, not in seconds."""

from __future__ import annotations

import subprocess
import sys

LIST_LOADED = "import sys; import {}; print(*sys.modules)"


def loaded_by(module: str) -> set[str]:
    command = [sys.executable, "-c", LIST_LOADED.format(module)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def test_settings_add_at_most_15_percent_to_their_engine() -> None:
    engine, ours = loaded_by("pydantic_settings"), loaded_by("controlroom.settings")

    assert "controlroom.settings" in ours
    assert len(ours - engine) <= 0.15 * len(engine)


def test_settings_load_no_other_engine() -> None:
    heads = {name.partition(".")[0] for name in loaded_by("controlroom.settings")}

    assert heads & {"structlog", "rich", "httpx", "sqlalchemy", "botocore", "tenacity"} == set()
