"""Before a request: the token that its credentials need, fetched by whoever comes first."""

from __future__ import annotations

from typing import Final

from controlroom.clock import current_deadline, monotonic_s
from controlroom.errors import APIAuthError, ControlRoomError
from controlroom.http.addresses import origin_of
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.classify import error_of_status, translated
from controlroom.http.configuration import Configuration
from controlroom.http.kept_tokens import KeptToken
from controlroom.http.messages import Headers, Request, Response
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.http.timeouts import Timeouts
from controlroom.http.token_auth import TokenAuth
from controlroom.http.token_store import Claim, TokenStore
from controlroom.policy.flow import Flow, StepFailed

__all__ = ["rejected", "signed_in"]

_LONGEST_ANSWER_BYTES: Final = 2**20
_FIRST_ERROR: Final = 400
# Short against a fetch, long against the cost of asking: threads and tasks of any loop can wait for each other only so.
_LOOK_AGAIN_S: Final = 0.02
_LOOK_INTO_STORE_AGAIN_S: Final = 0.05

Step = Pause | Send | Coordinate


def signed_in(configuration: Configuration) -> Flow[Step, str | None]:
    """Have a token that holds, and return it; None where the credentials are of another kind.

    Raises:
        APIAuthError: The credentials were refused.
        ExternalAPIError: The server of tokens could not be asked. The request itself was not sent.
        DeadlineExceededError: Somebody else's fetch took too long.
        ConfigError, FileOperationError, DatabaseError: The store cannot be used. The request itself was not sent.
    """
    auth = configuration.auth
    if not isinstance(auth, TokenAuth):
        return None
    while (wanted := auth.wanted(monotonic_s(), configuration.timeouts.total_s)) is not None:
        if wanted == "wait":
            yield from _a_moment("Waiting for an access token", _LOOK_AGAIN_S)
            continue
        try:
            if auth.store is None:
                yield from _in_memory(auth, configuration)
            else:
                yield from _from_store(auth, auth.store, configuration)
        except BaseException:
            auth.release()
            raise
    return auth.token


def _in_memory(auth: TokenAuth, configuration: Configuration) -> Flow[Step, None]:
    kept = auth.kept if auth.not_kept is None else auth.not_kept
    auth.take(kept if auth.accepts(kept) else (yield from _fetched(auth, kept, configuration)), monotonic_s())


def _a_moment(what: str, wait_s: float) -> Flow[Step, None]:
    if (deadline := current_deadline()) is not None:
        deadline.require(what, wait_s)
    yield Pause(wait_s)


def _from_store(auth: TokenAuth, store: TokenStore, configuration: Configuration) -> Flow[Step, None]:
    """Use the token that is kept, or renew it, whichever process comes first."""
    while not _taken(auth, (yield Coordinate(store.read()))):
        claim = store.claim(_longest_fetch_s(configuration.timeouts))
        try:
            kept = yield Coordinate(claim.acquire())
            if kept is not None:
                yield from _renewed(auth, claim, store, kept, configuration)
                return
        except GeneratorExit:  # nobody is left to perform anything: a lock is gone with close(), a row's claim ends
            raise
        except BaseException:
            yield Coordinate(claim.release())
            raise
        finally:
            claim.close()
        what = f"Waiting for another process to renew the token in {store.place}"
        yield from _a_moment(what, _LOOK_INTO_STORE_AGAIN_S)


def _taken(auth: TokenAuth, kept: KeptToken) -> bool:
    kept = auth.begun(kept)
    if auth.accepts(kept):
        auth.take(kept, monotonic_s())
        return True
    return False


def _longest_fetch_s(timeouts: Timeouts) -> float:
    """Return how long a fetch may take that goes well: who claims a row for longer keeps others from going on."""
    return min(timeouts.total_s, timeouts.pool_s + timeouts.connect_s + timeouts.write_s + 2 * timeouts.read_s)


def _renewed(
    auth: TokenAuth, claim: Claim, store: TokenStore, kept: KeptToken, configuration: Configuration
) -> Flow[Step, None]:
    """Renew what is kept, unless another process has done so, and keep it before it is used."""
    kept = auth.begun(kept)
    if auth.not_kept is not None and auth.not_kept.serial > kept.serial:
        yield from _keep(auth, claim, auth.not_kept)
    elif auth.accepts(kept):
        yield Coordinate(claim.release())
        auth.take(kept, monotonic_s())
    else:
        yield from _renew(auth, claim, store, kept, configuration)


def _renew(
    auth: TokenAuth, claim: Claim, store: TokenStore, kept: KeptToken, configuration: Configuration
) -> Flow[Step, None]:
    try:
        renewed = yield from _fetched(auth, kept, configuration)
    except StepFailed:
        if auth.not_kept is not None:
            yield from _keep(auth, claim, auth.not_kept)
        raise
    except APIAuthError:
        present = auth.begun((yield Coordinate(store.read())))
        if present.refresh_token == kept.refresh_token:
            raise
        # Another process was faster, although the claim was ours: it had ended, or the disk knows no locks.
        renewed = present if auth.accepts(present) else (yield from _fetched(auth, present, configuration))
    yield from _keep(auth, claim, renewed)


def _keep(auth: TokenAuth, claim: Claim, renewed: KeptToken) -> Flow[Step, None]:
    auth.not_kept = renewed
    stands = yield Coordinate(claim.keep(renewed))
    auth.take(stands if auth.accepts(stands) else renewed, monotonic_s())


def rejected(token: str | None, url: str, configuration: Configuration) -> bool:
    """Take back *token*, which the server at *url* refused; True where the request is worth another one."""
    auth = configuration.auth
    if token is None or not isinstance(auth, TokenAuth) or origin_of(url) != configuration.origin:
        return False
    auth.reject(token)
    return True


def _fetched(auth: TokenAuth, kept: KeptToken, configuration: Configuration) -> Flow[Step, KeptToken]:
    call = auth.call(kept)
    sink = BodySink(call, call.url, _LONGEST_ANSWER_BYTES)
    headers = Headers({"Accept-Encoding": "identity", "Connection": "keep-alive", **call.headers})
    request = Request(call.method, call.url, headers, content=call.content)
    try:
        yield Send(
            request,
            configuration.timeouts.cut_to(current_deadline()),
            sink,
            to_its_end=kept.refresh_token is not None,
        )
    except StepFailed as failed:
        if error := translated(failed.error, call):
            raise error from failed.error
        # Interrupted: the answer may be here all the same, and with it the only refresh token that still works.
        auth.not_kept = _whole(auth, kept, sink.response())
        raise
    response = sink.response()
    if response.status_code >= _FIRST_ERROR:
        raise _failure(call, response, auth)
    return auth.renewed(kept, response)


def _whole(auth: TokenAuth, kept: KeptToken, response: Response) -> KeptToken | None:
    if not 0 < response.status_code < _FIRST_ERROR:
        return None
    try:
        return auth.renewed(kept, response)
    except ControlRoomError:
        return None


def _failure(call: Call, response: Response, auth: TokenAuth) -> Exception:
    refusal: APIAuthError | None = auth.refusal(response)
    return refusal or error_of_status(call, response)
