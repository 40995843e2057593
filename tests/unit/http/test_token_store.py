"""The store of a token: claims that end, writers that come late, and places that hold something else."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import APIAuthError, ConfigError, ControlRoomError, DeadlineExceededError
from controlroom.http import ApiClient, AsyncApiClient, OAuth2ClientCredentials, OAuth2RefreshToken, Response, Timeouts
from controlroom.http.coordination import FileWork
from controlroom.http.kept_tokens import KeptToken, kept_in
from controlroom.http.token_store import token_store
from controlroom.redaction import forget_secrets, redact_text
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS

BASE = "https://api.example.com"
TOKENS = "https://login.example.com/token"
KINDS = ("file", "row")


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock
    forget_secrets()


class Login:
    """Refresh tokens that work once; the API takes the last access token."""

    def __init__(self) -> None:
        self.refreshes = 0
        self.sent: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "login.example.com":
            welcome = request.headers.get("authorization") == f"Bearer access-token-{self.refreshes}"
            return httpx.Response(200 if welcome else 401, json={"token": request.headers.get("authorization")})
        sent = parse_qs(request.content.decode()).get("refresh_token", [None])[0]
        self.sent.append(sent)
        if sent not in {None, f"refresh-token-{self.refreshes}"}:
            return httpx.Response(400, json={"error": "invalid_grant"})
        self.refreshes += 1
        body: dict[str, Any] = {"access_token": f"access-token-{self.refreshes}", "expires_in": 600}
        return httpx.Response(
            200, json=body if sent is None else {**body, "refresh_token": f"refresh-token-{self.refreshes}"}
        )


def place_in(folder: Path, kind: str, colour: str) -> Any:
    if kind == "file":
        return folder / "token"
    url = f"sqlite:///{folder / 'tokens.db'}"
    with Database(url) as db:
        db.create_control_tables()
    return (AsyncDatabase if colour == "async" else Database)(url)


def refreshing(store: Any, given: str = "refresh-token-0", **options: Any) -> OAuth2RefreshToken:
    return OAuth2RefreshToken(TOKENS, "client", "s3cret-of-client", given, store=store, **options)


def ask(colour: str, login: Any, auth: Any, **client: Any) -> Response | ControlRoomError:
    options = {"transport": httpx.MockTransport(login), "auth": auth, "retry": None, **client}
    place = auth.store.place

    async def asynchronous() -> Response:
        try:
            async with AsyncApiClient(BASE, **options) as api:
                return await api.get("/x")
        finally:
            if isinstance(place, AsyncDatabase):
                await place.aclose()

    try:
        if colour == "async":
            return asyncio.run(asynchronous())
        with ApiClient(BASE, **options) as api:
            return api.get("/x")
    except ControlRoomError as error:
        return error
    finally:
        if isinstance(place, Database):
            place.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_clients_of_one_store_use_one_token_until_it_is_to_be_renewed(
    kind: str, colour: str, tmp_path: Path, manual: ManualClock
) -> None:
    login = Login()
    for _ in range(3):
        ask(colour, login, refreshing(place_in(tmp_path, kind, colour)))
    manual.advance(541)
    answer = ask(colour, login, refreshing(place_in(tmp_path, kind, colour)))

    assert isinstance(answer, Response)
    assert login.sent == ["refresh-token-0", "refresh-token-1"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_client_credentials_are_kept_too(kind: str, colour: str, tmp_path: Path) -> None:
    login = Login()
    for _ in range(3):
        auth = OAuth2ClientCredentials(TOKENS, "client", "s3cret", store=place_in(tmp_path, kind, colour))
        assert isinstance(ask(colour, login, auth), Response)

    assert login.sent == [None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_signing_in_again_gave_begins_anew_and_an_old_one_does_not_come_back(
    kind: str, tmp_path: Path
) -> None:
    login = Login()
    ask("sync", login, refreshing(place_in(tmp_path, kind, "sync")))
    login.refreshes = 7  # a person signs in again
    assert isinstance(ask("sync", login, refreshing(place_in(tmp_path, kind, "sync"), "refresh-token-7")), Response)
    assert isinstance(ask("sync", login, refreshing(place_in(tmp_path, kind, "sync"), "refresh-token-0")), Response)

    assert login.sent == ["refresh-token-0", "refresh-token-7"]


@pytest.mark.parametrize("colour", COLOURS)
def test_the_claim_of_a_dead_process_on_a_row_ends_by_itself(colour: str, tmp_path: Path, manual: ManualClock) -> None:
    login, began_s = Login(), manual.monotonic_s()
    dead = place_in(tmp_path, "row", "sync")
    store = token_store(dead, owner_of(), name_of())
    assert store is not None
    assert isinstance(store.claim(5.0).acquire().run(), KeptToken)
    dead.close()

    hurried = ask(colour, login, refreshing(place_in(tmp_path, "row", colour)), timeouts=Timeouts(total_s=2))
    patient = ask(colour, login, refreshing(place_in(tmp_path, "row", colour)))

    assert isinstance(hurried, DeadlineExceededError)
    assert "another process to renew the token" in str(hurried)
    assert isinstance(patient, Response)
    assert manual.monotonic_s() - began_s == pytest.approx(5, abs=0.1)


def owner_of() -> str:
    return refreshing(None).kept.owner


def name_of() -> str:
    return f"client {owner_of()}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_was_rotated_behind_our_back_is_looked_up_before_anybody_gives_up(
    kind: str, tmp_path: Path
) -> None:
    login = Login()
    ask("sync", login, refreshing(place_in(tmp_path, kind, "sync")))
    auth = refreshing(place_in(tmp_path, kind, "sync"))

    class Faster(Login):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == "login.example.com" and not self.sent:  # somebody whose claim is worth nothing to us
                self.refreshes += 1
                rotate(auth.store, self.refreshes)
            return super().__call__(request)

    login.refreshes = 1
    faster = Faster()
    faster.refreshes = 1
    expire(auth.store)

    assert isinstance(ask("sync", faster, auth), Response)
    assert faster.sent == ["refresh-token-1"]


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_has_the_claim_looks_again_before_the_refresh_token_is_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = Login()
    ask("sync", login, refreshing(place_in(tmp_path, kind, "sync")))
    login.refreshes = 2
    auth = refreshing(place_in(tmp_path, kind, "sync"))
    assert auth.store is not None
    expire(auth.store)
    read = auth.store.read

    def overtaken() -> Any:
        monkeypatch.setattr(type(auth.store), "read", lambda _: read())
        kept = read().run()
        rotate(auth.store, 2)  # between our look and our claim
        return FileWork(lambda: kept)

    monkeypatch.setattr(type(auth.store), "read", lambda _: overtaken())

    assert isinstance(ask("sync", login, auth), Response)
    assert login.sent == ["refresh-token-0"]


def change(store: Any, make: Any) -> None:
    kept = store.read().run()
    text = make(kept).text
    if isinstance(store.place, Path):
        store.place.write_text(text)
    else:
        with store.place.unit_of_work() as uow:
            uow.execute("UPDATE controlroom_tokens SET value = :text", {"text": text})


def expire(store: Any) -> None:
    change(store, lambda kept: KeptToken(kept.owner, kept.serial, None, 0.0, kept.refresh_token, kept.given))


def rotate(store: Any, number: int) -> None:
    tokens = (f"access-token-{number}", 9e9, f"refresh-token-{number}")
    change(store, lambda kept: KeptToken(kept.owner, kept.serial + 1, *tokens, kept.given))


def test_a_writer_that_comes_late_does_not_undo_what_another_one_wrote(tmp_path: Path) -> None:
    db = place_in(tmp_path, "row", "sync")
    store = token_store(db, "owner", "name")
    assert store is not None
    first, second = store.claim(-1.0), store.claim(10.0)  # the first one has ended
    assert first.acquire().run().serial == second.acquire().run().serial == 0

    second.keep(KeptToken("owner", 1, "access-of-the-second")).run()
    stands = first.keep(KeptToken("owner", 1, "access-of-the-first")).run()

    assert stands.access_token == store.read().run().access_token == "access-of-the-second"
    db.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fetch_that_fails_gives_its_claim_back(kind: str, tmp_path: Path, manual: ManualClock) -> None:
    began_s = manual.monotonic_s()
    down = ask("sync", lambda _: httpx.Response(503), refreshing(place_in(tmp_path, kind, "sync")))
    answer = ask("sync", Login(), refreshing(place_in(tmp_path, kind, "sync")))

    assert isinstance(down, ControlRoomError)
    assert isinstance(answer, Response)
    assert manual.monotonic_s() == began_s


def test_a_place_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for content in ("a,b\n1,2\n", "{}", '{"kind": "controlroom token", "version": 2}', "[" * 5000):
        path.write_text(content)
        error = ask("sync", Login(), refreshing(path))
        assert isinstance(error, ConfigError)
        assert path.read_text() == content


def test_the_tokens_of_other_credentials_are_left_alone(tmp_path: Path) -> None:
    login = Login()
    ask("sync", login, refreshing(tmp_path / "token"))
    before = (tmp_path / "token").read_text()

    error = ask("sync", login, OAuth2RefreshToken(TOKENS, "another", None, "another-token", store=tmp_path / "token"))

    assert isinstance(error, ConfigError)
    assert "other credentials" in str(error)
    assert (tmp_path / "token").read_text() == before


@pytest.mark.parametrize(
    "name", ["serial", "access_token", "renew_at", "refresh_token", "given", "busy_by", "busy_from"]
)
def test_a_fact_of_a_wrong_type_is_refused(name: str) -> None:
    text = json.dumps({**json.loads(KeptToken("owner").text), name: {"no": "such thing"}})

    with pytest.raises(ConfigError, match="something else"):
        kept_in(text, "owner", "the file")


def test_what_is_read_from_a_store_is_masked(tmp_path: Path) -> None:
    ask("sync", Login(), refreshing(tmp_path / "token"))
    forget_secrets()

    auth = refreshing(tmp_path / "token")
    assert isinstance(ask("sync", Login(), auth), Response | ControlRoomError)

    assert "access-token-1" not in redact_text("with access-token-1 and refresh-token-1 and s3cret-of-client")
    assert "-token-1" not in f"{auth!r} {auth.store!r} {auth.kept!r}"
    assert "refresh-token-1" in auth.secrets


def test_without_a_store_a_rotated_token_lasts_as_long_as_the_process(manual: ManualClock) -> None:
    login, auth = Login(), refreshing(None)
    with ApiClient(BASE, auth=auth, transport=httpx.MockTransport(login)) as api:
        api.get("/x")
        manual.advance(600)
        api.get("/x")

    assert login.sent == ["refresh-token-0", "refresh-token-1"]


def test_a_public_client_says_who_it_is_and_sends_no_secret() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"access_token": "a-token-of-it"})

    auth = OAuth2RefreshToken(TOKENS, "public", None, "refresh-token-0", scope="read")
    with ApiClient(BASE, auth=auth, transport=httpx.MockTransport(answer)) as api:
        api.get("/x")

    assert "authorization" not in requests[0].headers
    assert parse_qs(requests[0].content.decode()) == {
        "grant_type": ["refresh_token"],
        "scope": ["read"],
        "client_id": ["public"],
        "refresh_token": ["refresh-token-0"],
    }


def test_a_refresh_token_that_is_refused_asks_for_a_person(tmp_path: Path) -> None:
    error = ask("sync", Login(), refreshing(tmp_path / "token", "used-up-long-ago"))

    assert isinstance(error, APIAuthError)
    assert "invalid_grant" in str(error)
    assert "sign in again" in str(error)


@pytest.mark.parametrize("store", [3, "", "sqlite:///x.db", object()])
def test_a_store_that_is_none_is_refused(store: Any) -> None:
    with pytest.raises(ConfigError, match="store is"):
        refreshing(store)


class CancelledAt:
    """Awaits *work*, and cancels the task where that waits for the *number*-th time."""

    def __init__(self, work: Any, number: int) -> None:
        self._work = work
        self._left = number

    def __await__(self) -> Any:
        steps, resume, value = self._work.__await__(), "send", None
        while True:
            try:
                waits_for = getattr(steps, resume)(value)
            except StopIteration as end:
                return end.value
            self._left -= 1
            task = asyncio.current_task()
            if self._left == 0 and task is not None:
                task.cancel()
            try:
                resume, value = "send", (yield waits_for)
            except BaseException as error:
                resume, value = "throw", error


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_at_any_await_the_next_call_goes_on_with_what_was_given(kind: str, tmp_path: Path) -> None:
    async def answers_slowly(login: Login, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        answer = login(request)
        await asyncio.sleep(0)
        return answer

    async def cancelled_at(number: int, folder: Path) -> bool:
        login, place = Login(), place_in(folder, kind, "async")
        options: dict[str, Any] = {"transport": httpx.MockTransport(partial(answers_slowly, login)), "retry": None}
        async with AsyncApiClient(BASE, auth=refreshing(place), **options) as api:

            async def asking() -> None:
                await CancelledAt(api.get("/x"), number)

            task = asyncio.create_task(asking())
            await asyncio.wait([task])
        async with AsyncApiClient(BASE, auth=refreshing(place), **options) as api:
            assert (await api.get("/x")).status_code == 200  # no refresh token came twice
        if isinstance(place, AsyncDatabase):
            await place.aclose()
        return task.cancelled()

    number = 1
    while asyncio.run(cancelled_at(number, new_folder(tmp_path))):
        number += 1
    assert number > 5


def new_folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=parent))
