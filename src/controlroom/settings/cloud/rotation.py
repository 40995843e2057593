"""A secret was rotated while the job ran: notice it by the refusal, fetch the new one, try once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from controlroom.errors import APIAuthError, ControlRoomError, DatabaseError
from controlroom.settings.cloud.references import Secret
from controlroom.settings.model import BaseSettings

__all__ = ["aretry_on_rotation", "forget_cached_secrets", "retry_on_rotation", "shows_rotation"]

SettingsT = TypeVar("SettingsT", bound=BaseSettings)
T = TypeVar("T")

_INVALID_AUTHORIZATION = "28"  # SQLSTATE class 28, ISO/IEC 9075: 28000, 28P01 …
_REFUSED_LOGIN = "password authentication failed"  # libpq gives no SQLSTATE where there is no connection yet
_LONGEST_CHAIN = 20


def retry_on_rotation(load: Callable[[], SettingsT], use: Callable[[SettingsT], T]) -> T:
    """Return ``use(load())``; where a credential was refused and has changed since, once more with the new one.

    ``retry_on_rotation(lambda: load_settings(Settings), lambda settings: sync(ApiClient(…, BearerAuth(settings.token))))``

    Args:
        load: Loads the settings. Called again after a refusal, at most twice.
        use: Does the work, from the connection on. Called a second time only where what was loaded differs.

    Raises:
        BaseException: What *use* raised: itself where it is no refusal, or where nothing has changed.

    Guarantees:
        What other threads fetched anew already is used first; otherwise exactly the secrets of these settings are dropped
        from the cache and fetched once. *use* is called at most twice.
        Not promised: that the first call of *use* did nothing before it was refused; that is for *use* to make harmless.
    """
    settings = load()
    try:
        return use(settings)
    except ControlRoomError as error:
        if not (shows_rotation(error) and _secrets_of(settings)):
            raise
        new = load()
        if new == settings:
            forget_cached_secrets(settings)
            new = load()
        if new == settings:
            raise
    return use(new)


async def aretry_on_rotation(load: Callable[[], Awaitable[SettingsT]], use: Callable[[SettingsT], Awaitable[T]]) -> T:
    """Return ``await use(await load())``; see `retry_on_rotation`."""
    settings = await load()
    try:
        return await use(settings)
    except ControlRoomError as error:
        if not (shows_rotation(error) and _secrets_of(settings)):
            raise
        new = await load()
        if new == settings:
            forget_cached_secrets(settings)
            new = await load()
        if new == settings:
            raise
    return await use(new)


def shows_rotation(error: BaseException) -> bool:
    """Tell whether *error*, or what led to it, says that a credential was refused.

    That is: status 401 or 403, SQLSTATE class 28, or a PostgreSQL that says so in English.
    """
    one: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if isinstance(one, APIAuthError) or (isinstance(one, DatabaseError) and _is_refused_login(one)):
            return True
        one = None if one is None else one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return False


def _is_refused_login(error: DatabaseError) -> bool:
    if error.sqlstate:
        return error.sqlstate.startswith(_INVALID_AUTHORIZATION)
    return _REFUSED_LOGIN in f"{error} {error.__cause__}"


def forget_cached_secrets(settings: BaseSettings | None = None) -> None:
    """Drop from the cache of this process what *settings* fetched, or everything: the next load asks AWS again.

    Settings that were loaded before keep their values.
    """
    from controlroom.settings.cloud.cache import process_cache  # noqa: PLC0415 - nothing fetched, nothing to load

    process_cache().forget(None if settings is None else _secrets_of(settings))


def _secrets_of(settings: BaseSettings) -> tuple[Secret, ...]:
    known = settings._provenance  # noqa: SLF001 - what the loader leaves there is for this package
    return () if known is None else known.secrets
