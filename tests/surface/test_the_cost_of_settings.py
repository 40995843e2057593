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
    others = {"structlog", "rich", "httpx", "sqlalchemy", "botocore", "aiobotocore", "tenacity", "yaml", "airflow"}
    heads = {name.partition(".")[0] for name in loaded_by("controlroom.settings")}

    assert heads & others == set()


def test_loading_settings_that_refer_to_nothing_and_stand_in_no_yaml_loads_no_other_engine_either(tmp_path):
    (tmp_path / "app.toml").write_text("size = 3")
    (tmp_path / ".env").write_text("APP_NAME=x")
    code = (
        "import sys; from controlroom.settings import *\n"
        "class Settings(BaseSettings):\n    size: int = 1\n    name: str = ''\n"
        "print(load_settings(Settings)); print(*sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    ).stdout

    assert out.startswith("size=3 name='x'")
    heads = {name.partition(".")[0] for name in out.split()}
    assert heads & {"structlog", "botocore", "aiobotocore", "tenacity", "yaml", "airflow"} == set()
