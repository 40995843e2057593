"""What a client was told, checked once, and what follows from it for each request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Unpack

import controlroom
from controlroom.errors import ConfigError, ControlRoomError
from controlroom.http.addresses import Origin, joined, origin_of, with_query, without_query
from controlroom.http.auth import Auth, revealed
from controlroom.http.calls import Call, CallOptions, encoded
from controlroom.http.decoding import acceptable
from controlroom.http.messages import Headers, Request, is_token
from controlroom.http.timeouts import Timeouts
from controlroom.policy.circuit import CircuitBreaker
from controlroom.policy.pagination import PageRequest
from controlroom.policy.rate_limit import RateLimit
from controlroom.redaction import is_sensitive_name, register_secret
from controlroom.retrying import RetryPolicy

__all__ = ["Configuration", "hosts"]

_DEFAULT_HEADERS: Final = {
    "Accept": "*/*",
    "Connection": "keep-alive",
    "User-Agent": f"controlroom/{controlroom.__version__}",
}
# What may follow a request to an allowed foreign host: facts about the content, nothing about us.
_HARMLESS_HEADERS: Final = ("Accept", "Accept-Language", "Content-Type", "If-Match", "If-None-Match", "Range")


_KINDS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("base_url", str, 'a text, "https://…"'),
    ("auth", Callable | None, "BearerAuth(token), another of the auths, or None for none"),
    ("timeouts", Timeouts, "Timeouts(total_s=30.0), or None for the usual ones"),
    ("retry", RetryPolicy, "RetryPolicy(attempts=3), or None to try once"),
    ("rate_limit", RateLimit | None, "RateLimit(10, per_s=1.0), or None for no limit"),
    ("circuit", CircuitBreaker | None, "CircuitBreaker(), or None for none"),
    ("max_response_bytes", int, "a number of bytes"),
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A client's arguments, checked; see `controlroom.http.ApiClient` for what they mean.

    Raises:
        ConfigError: One of them is impossible.
    """

    base_url: str
    auth: Auth | None = None
    headers: Headers = field(default_factory=Headers)
    params: Mapping[str, Any] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    rate_limit: RateLimit | None = None
    circuit: CircuitBreaker | None = None
    max_response_bytes: int = 64 * 2**20
    allowed_hosts: frozenset[str] = frozenset()
    origin: Origin = field(init=False)
    usual_headers: Headers = field(init=False, repr=False)
    pace: RateLimit = field(init=False, repr=False)
    secret_params: Mapping[str, Any] = field(init=False, repr=False)
    secrets: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check, and have every credential masked."""
        for name, kind, example in _KINDS:
            if not isinstance(value := getattr(self, name), kind):
                message = f"{name} is a {type(value).__name__}: give {example}."
                raise ConfigError(message)
        hidden = _credentials({**self.headers, **self.params})
        headers = Headers({name: hidden.get(name, value) for name, value in self.headers.items()})
        derived = {
            "origin": _own_origin(self.base_url),
            "pace": self.rate_limit or RateLimit(math.inf),
            "headers": headers,
            "usual_headers": _on_top_of_the_defaults(headers),
            "params": {name: value for name, value in self.params.items() if name not in hidden},
            "secret_params": {name: hidden[name] for name in self.params if name in hidden},
            "secrets": frozenset(hidden.values()) | getattr(self.auth, "secrets", frozenset()),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # frozen from here on
        self.headers.require_sendable()
        if self.max_response_bytes < 1:
            message = f"max_response_bytes={self.max_response_bytes} would let no answer in."
            raise ConfigError(message)

    def call(self, method: str, path: str, **options: Unpack[CallOptions]) -> Call:
        """Return the call that a user asked for.

        Raises:
            ConfigError: *path* leads to another origin, or an argument cannot be sent.
            DataError: The body cannot be written as JSON.
            TypeError: An option is not among `CallOptions`.
        """
        if unknown := sorted(options.keys() - CallOptions.__annotations__.keys()):
            known = ", ".join(CallOptions.__annotations__)
            message = f"request() got unexpected keyword arguments: {', '.join(unknown)}. It takes {known}."
            raise TypeError(message)
        if not isinstance(path, str):
            message = f'The path {path!r} is no text: give one like "/orders/1". Nothing was sent.'
            raise ConfigError(message)
        url = joined(self.base_url, path)
        if reason := self.admits(url):
            message = f"{path} cannot be asked: {reason}. Nothing was sent: credentials stay with their origin."
            raise ConfigError(message)
        body, content, key = options.get("json"), options.get("content"), options.get("idempotency_key")
        if body is not None and content is not None:
            message = "A request has one body: give json= or content=."
            raise ConfigError(message)
        headers = Headers({} if body is None else {"Content-Type": "application/json"})
        headers.update(options.get("headers") or {})
        _credentials(headers)
        if key is not None:
            if not str(key).strip():  # the server could not tell the second try from another call
                message = "idempotency_key is empty: give one of this call's own. Nothing was sent."
                raise ConfigError(message)
            headers["Idempotency-Key"] = key
        content = content or b"" if body is None else encoded(body)
        params = {**self.params, **(options.get("params") or {})}
        if not is_token(method):
            message = f"{method!r} is no method."
            raise ConfigError(message)
        return Call(method.upper(), with_query(url, params), headers, content)

    def retry_for(self, call: Call) -> RetryPolicy:
        """Return the policy under which *call* is tried: the user's, narrowed to what may be sent twice."""
        is_sign_in: Callable[[str | None], bool] = getattr(self.auth, "owns", lambda _: False)

        def may_retry(error: ControlRoomError) -> bool:
            # Where already the sign-in failed, nothing of the call itself was sent.
            return call.may_retry(error) or is_sign_in(getattr(error, "url", None))

        return self.retry.named(call.what, only_if=may_retry)

    def outgoing(self, call: Call, url: str) -> Request:
        """Return *call* as it is sent to *url*: with credentials to the own origin only.

        Raises:
            ConfigError: A header cannot be sent.
        """
        if origin_of(url) == self.origin:
            headers = self.usual_headers.copy()
            headers.take_over(call.headers)
            request = self._authenticated(Request(call.method, url, headers, dict(self.secret_params), call.content))
        else:
            headers = _default_headers()
            headers.update({name: call.headers[name] for name in _HARMLESS_HEADERS if name in call.headers})
            request = Request(call.method, url, headers, content=call.content)
        request.headers.require_sendable(self.usual_headers)
        if not request.params and "#" not in request.url:
            return request
        return replace(request, url=with_query(request.url, request.params), params={})

    def _authenticated(self, request: Request) -> Request:
        answer: Any = request if self.auth is None else self.auth(request)
        if not isinstance(answer, Request | None):
            message = (
                f"{self.auth!r} returned a {type(answer).__name__}: an auth callable returns the request, or None."
            )
            raise ConfigError(message)
        return answer or request

    def admits(self, url: str) -> str | None:
        """Return None where a link or a redirect to *url* may be followed, else the reason why not."""
        try:
            origin = origin_of(url)
        except ValueError as error:
            return str(error)
        if origin == self.origin or origin.is_among(self.allowed_hosts):
            return None
        return f"it leads from {self.origin} to {origin}, which is not in allowed_hosts"

    def stripped(self, request: PageRequest) -> PageRequest:
        """Return *request* without our own credentials, which servers like to repeat in their links."""
        param = getattr(self.auth, "param", None)
        names = frozenset(self.secret_params) | (frozenset() if param is None else {str(param)})
        url = without_query(request.url, names, self.secrets)
        return request if url == request.url else replace(request, url=url)


def _default_headers() -> Headers:
    return Headers({**_DEFAULT_HEADERS, "Accept-Encoding": acceptable()})


def _on_top_of_the_defaults(headers: Headers) -> Headers:
    usual = _default_headers()
    usual.take_over(headers)
    return usual


def _credentials(values: Mapping[str, Any]) -> dict[str, str]:
    """Return those of *values* whose names tell of a credential, as texts, and have them masked everywhere."""
    found = {name: revealed(value, name) for name, value in values.items() if is_sensitive_name(name)}
    for value in found.values():
        register_secret(value.rpartition(" ")[2])  # "Bearer …": the token alone is as secret
    return found


def _own_origin(base_url: str) -> Origin:
    try:
        origin = origin_of(base_url)
    except ValueError as error:
        before, at, host = base_url.rpartition("@")
        if at:  # whatever stands there, a slash in a password included, may be the password
            register_secret(before.removeprefix("https://").removeprefix("http://").partition(":")[2])
        message = (
            f"The base URL {'***@' + host if at else base_url!r} cannot be used: {error}. Credentials go into auth=."
        )
        raise ConfigError(message) from None
    if "?" in base_url or "#" in base_url:
        message = f"The base URL {base_url!r} has a query or a fragment: give params= instead."
        raise ConfigError(message)
    return origin


def hosts(names: Iterable[str] | None) -> frozenset[str]:
    """Return host names as they are compared.

    Raises:
        ConfigError: One is no host, but a URL; or *names* is a text instead of a list of them.
    """
    given = [names] if isinstance(names, str) else list(names or ())
    if isinstance(names, str) or any("/" in name for name in given):
        message = (
            f'allowed_hosts={given} is not possible: give a list of hosts, as in ["cdn.example.com", "10.0.0.7:8080"].'
        )
        raise ConfigError(message)
    return frozenset(name.lower().rstrip(".") for name in given)
