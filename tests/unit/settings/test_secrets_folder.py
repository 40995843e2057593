"""Secrets mounted as files, by Docker and by Kubernetes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, explain_settings, load_settings, secrets_folder
from controlroom.settings.reading import text_of


class Replica(BaseModel):
    password: SecretStr = SecretStr("")


class Db(BaseModel):
    password: SecretStr = SecretStr("")
    user: str = ""
    replica: Replica = Replica()


class Settings(BaseSettings):
    api_token: SecretStr = SecretStr("")
    db: Db = Db()
    limits: dict[str, int] = {}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def kubernetes(folder: Path, version: str, **files: str) -> None:
    """Mount *files* as kubelet does: a folder for the version, a link to it, a link for each key."""
    for name, text in files.items():
        put(folder / f"..{version}" / name, text)
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..data", name))
    swapped = folder / "..data_tmp"
    swapped.symlink_to(f"..{version}")
    swapped.rename(folder / "..data")


def plain(settings: Settings) -> tuple[str, str, str, str]:
    db = settings.db
    return (
        settings.api_token.get_secret_value(),
        db.password.get_secret_value(),
        db.user,
        db.replica.password.get_secret_value(),
    )


def test_a_kubernetes_mount_is_read_through_its_links(here: Path) -> None:
    kubernetes(here / "s", "2026_11_22", app_api_token="t0ken\n", app_db__user="u")

    loaded = load_settings(Settings, secrets_dir=here / "s")

    assert plain(loaded)[:3] == ("t0ken", "", "u")
    assert {row.key for row in explain_settings(loaded).rows} >= {str(here / "s" / "app_api_token")}


def test_a_folder_is_a_level_and_the_prefix_may_be_one(here: Path) -> None:
    put(here / "s" / "app" / "api-token", "t0ken")
    put(here / "s" / "app" / "db" / "user", "u")
    kubernetes(here / "s" / "app-db", "1", password="p")
    put(here / "s" / "app_db" / "replica" / "password", "r")
    put(here / "s" / "app_limits" / "cpu", "3")

    loaded = load_settings(Settings, secrets_dir=here / "s")

    assert plain(loaded) == ("t0ken", "p", "u", "r")
    assert loaded.limits == {"cpu": 3}


def test_of_several_folders_the_last_wins_leaf_by_leaf(here: Path) -> None:
    put(here / "a" / "app_db__user", "from-a")
    put(here / "a" / "app_db__password", "from-a")
    put(here / "b" / "app_db__password", "from-b")

    loaded = load_settings(Settings, secrets_dir=[here / "a", str(here / "b"), here / "absent"])
    row = next(row for row in explain_settings(loaded).rows if row.name == "db.password")

    assert plain(loaded)[1:3] == ("from-b", "from-a")
    assert row.shadowed == (f"{here}/a/app_db__password (secrets directory)",)


def test_two_files_for_one_setting_are_refused_unless_they_agree(here: Path) -> None:
    put(here / "s" / "app_api_token", "first-t0ken")
    put(here / "s" / "APP_API_TOKEN", "first-t0ken\n")
    assert plain(load_settings(Settings, secrets_dir=here / "s"))[0] == "first-t0ken"

    put(here / "s" / "app-api-token", "other")
    with pytest.raises(ConfigError, match="set the same, differently; remove one") as caught:
        load_settings(Settings, secrets_dir=here / "s")
    assert "other" not in str(caught.value)


def test_a_rotation_in_the_middle_of_reading_never_mixes_two_versions(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes(here / "s", "1", app_db__user="old", app_db__password="old")
    swaps = [2, 3]

    def text_while_kubelet_swaps(path: Path, problems: list[str]) -> str | None:
        found = text_of(path, problems)
        if swaps and path.name == "app_db__password":
            kubernetes(here / "s", str(swaps.pop(0)), app_db__user="new", app_db__password="new")
        return found

    monkeypatch.setattr(secrets_folder, "text_of", text_while_kubelet_swaps)

    assert plain(load_settings(Settings, secrets_dir=here / "s"))[1:3] == ("new", "new")
    assert swaps == []


def test_what_is_not_ours_is_neither_read_nor_entered(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here / "s" / "kubernetes.io" / "serviceaccount" / "token", "x")
    put(here / "s" / "other_app_token", "x")
    put(here / "s" / ".app_api_token.swp", "x")
    os.mkfifo(here / "s" / "app_api_token")
    seen: list[str] = []
    monkeypatch.setattr(
        secrets_folder, "text_of", lambda path, problems: seen.append(path.name) or text_of(path, problems)
    )

    (here / "s" / "app_core.4711").write_bytes(b"\xff")

    assert load_settings(Settings, secrets_dir=here / "s") == Settings()
    assert set(seen) <= {"app_api_token"}


def test_a_link_that_leads_back_into_its_folder_has_an_end(here: Path) -> None:
    put(here / "s" / "app_db__user", "u")
    (here / "s" / "app_db").symlink_to(here / "s", target_is_directory=True)

    assert load_settings(Settings, secrets_dir=here / "s").db.user == "u"


def test_a_link_that_leads_nowhere_is_a_problem_and_not_a_default(here: Path) -> None:
    (here / "s").mkdir()
    (here / "s" / "app_api_token").symlink_to(here / "gone")

    with pytest.raises(ConfigError, match="app_api_token is a link that leads nowhere"):
        load_settings(Settings, secrets_dir=here / "s")


def test_a_misspelled_file_in_a_folder_of_keys_is_noticed(here: Path) -> None:
    put(here / "s" / "app_db" / "passwrod", "x")

    found = explain_settings(load_settings(Settings, secrets_dir=here / "s")).near_misses

    assert found == (f"{here}/s/app_db/passwrod is set (secrets directory); did you mean APP_DB__PASSWORD?",)


def test_a_folder_that_may_not_be_read_is_a_problem(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "s").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)

    with pytest.raises(ConfigError) as caught:
        load_settings(Settings, secrets_dir=here / "s")
    assert caught.value.problems == (f"{here}/s cannot be read: Permission denied.",)
