"""Before a request: the token that its credentials need, fetched by whoever comes first."""

from __future__ import annotations

from typing import Final

from controlroom.clock import current_deadline, monotonic_s
from controlroom.errors import APIAuthError
from controlroom.http.addresses import origin_of
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.classify import error_of_status, translated
from controlroom.http.configuration import Configuration
from controlroom.http.messages import Headers, Request, Response
from controlroom.http.oauth2 import OAuth2ClientCredentials
from controlroom.http.steps import Pause, Send
from controlroom.policy.flow import Flow, StepFailed

__all__ = ["rejected", "signed_in"]

_LONGEST_ANSWER_BYTES: Final = 2**20
_FIRST_ERROR: Final = 400
# Short against a fetch, long against the cost of asking: threads and tasks of any loop can wait for each other only so.
_LOOK_AGAIN_S: Final = 0.02


def signed_in(configuration: Configuration) -> Flow[Pause | Send, str | None]:
    """Have a token that holds, and return it; None where the credentials are of another kind.

    Raises:
        APIAuthError: The credentials were refused.
        ExternalAPIError: The server of tokens could not be asked. The request itself was not sent.
        DeadlineExceededError: Somebody else's fetch took too long.
    """
    auth = configuration.auth
    if not isinstance(auth, OAuth2ClientCredentials):
        return None
    while (wanted := auth.wanted(monotonic_s(), configuration.timeouts.total_s)) is not None:
        if wanted == "wait":
            if (deadline := current_deadline()) is not None:
                deadline.require("Waiting for an access token", _LOOK_AGAIN_S)
            yield Pause(_LOOK_AGAIN_S)
            continue
        try:
            auth.take((yield from _fetched(wanted, auth, configuration)), monotonic_s())
        except BaseException:
            auth.release()
            raise
    return auth.token


def rejected(token: str | None, url: str, configuration: Configuration) -> bool:
    """Take back *token*, which the server at *url* refused; True where the request is worth another one."""
    auth = configuration.auth
    if token is None or not isinstance(auth, OAuth2ClientCredentials) or origin_of(url) != configuration.origin:
        return False
    auth.reject(token)
    return True


def _fetched(call: Call, auth: OAuth2ClientCredentials, configuration: Configuration) -> Flow[Pause | Send, Response]:
    sink = BodySink(call, call.url, _LONGEST_ANSWER_BYTES)
    headers = Headers({"Accept-Encoding": "identity", "Connection": "keep-alive", **call.headers})
    try:
        yield Send(
            Request(call.method, call.url, headers, content=call.content),
            configuration.timeouts.cut_to(current_deadline()),
            sink,
        )
    except StepFailed as failed:
        if error := translated(failed.error, call):
            raise error from failed.error
        raise
    response = sink.response()
    if response.status_code >= _FIRST_ERROR:
        raise _failure(call, response, auth)
    return response


def _failure(call: Call, response: Response, auth: OAuth2ClientCredentials) -> Exception:
    refusal: APIAuthError | None = auth.refusal(response)
    return refusal or error_of_status(call, response)
