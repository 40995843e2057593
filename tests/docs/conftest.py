"""The servers that the documentation talks to: https://api.example.com, answered in this process, and an S3 of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from tests.servers.s3 import S3Server
from tests.servers.seaweedfs import seaweedfs_server

__all__ = ["seaweedfs_server"]

ORDERS = [{"id": number, "amount": 2.5 * number} for number in range(1, 6)]
PAGE_SIZE = 2


def orders(request: httpx.Request) -> httpx.Response:
    """A page of orders; the cursor is where it starts."""
    start = int(request.url.params.get("cursor", "0"))
    following = str(start + PAGE_SIZE) if start + PAGE_SIZE < len(ORDERS) else None
    page = {"data": ORDERS[start : start + PAGE_SIZE], "meta": {"next": following, "total": len(ORDERS)}}
    return httpx.Response(200, json=page)


@pytest.fixture(autouse=True)
def api_example_com() -> Iterator[respx.MockRouter]:
    """Answer the documented calls; whatever else is asked for, of whomever but this machine, fails the page."""
    with respx.mock(assert_all_called=False) as router:
        router.route(host="127.0.0.1").pass_through()
        router.get("https://api.example.com/orders", headers={"Authorization": "Bearer t0ken"}).mock(side_effect=orders)
        yield router


@pytest.fixture(autouse=True)
def modules_that_a_page_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python finds them where the page runs, as it does for its reader."""
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(autouse=True)
def what_aws_configure_has(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page on S3 finds a bucket called lake where its reader's environment says."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params["page"].name != "keep-objects-in-s3.md":
        return
    server: S3Server = request.getfixturevalue("seaweedfs_server")
    if "lake" not in [bucket["Name"] for bucket in server.s3.list_buckets()["Buckets"]]:
        server.s3.create_bucket(Bucket="lake")
    config = tmp_path.parent / f"{tmp_path.name}-aws-config"
    config.write_text("[profile analytics]\nregion = us-east-1\n")
    login = {"ACCESS_KEY_ID": server.access_key, "SECRET_ACCESS_KEY": server.secret_key, "REGION": server.region}
    for name, value in {**login, "ENDPOINT_URL": server.endpoint_url, "CONFIG_FILE": str(config)}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
