"""``@job``, and the boundary around one run."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar, cast, overload

from controlroom import clock, shutdown
from controlroom.errors import ConfigError, ControlRoomError
from controlroom.jobs.outcome import Outcome, exit_code_of, outcome_of
from controlroom.jobs.run import Run, new_run_id
from controlroom.logs import get_logger
from controlroom.logs.context import running
from controlroom.logs.failures import UNFORESEEN
from controlroom.logs.surroundings import host_facts
from controlroom.settings import BaseSettings, Unknown, explain_settings, load_settings
from controlroom.settings.sources import Paths

if TYPE_CHECKING:
    from controlroom.settings import CloudPolicy

__all__ = ["Job", "Launch", "job"]

_log = get_logger(__name__)

S = TypeVar("S", bound=BaseSettings | None)
SettingsT = TypeVar("SettingsT", bound=BaseSettings)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Launch(Generic[S]):
    """How one run is started, by whom.

    Attributes:
        host: Who starts it: "python", "command_line" …
        settings: Instead of loading them.
        profile: For `load_settings`.
        assignments: For `load_settings`.
        deadline_s: Seconds that the run may take.
    """

    host: str = "python"
    settings: S | None = None
    profile: str | None = None
    assignments: Mapping[str, str] = field(default_factory=dict, repr=False)
    deadline_s: float | None = None


class Job(Generic[S, T]):
    """A function that can run under any host. Made by `job`.

    Attributes:
        name: The function's name, unless given.
        function: The function itself.
        settings: The class of its settings; None for a job without.
        is_async: Whether the function is a coroutine function.
        loading: What `load_settings` is given besides the class: prefix, files …

    Calling the job calls the function, with a `Run` that you have: for a job that is a step of another one.

    Raises:
        TypeError: The function is a generator: calling it would do nothing, and look like a success.
    """

    def __init__(
        self,
        function: Callable[[Run[S]], T] | Callable[[Run[S]], Coroutine[Any, Any, T]],
        settings: type[BaseSettings] | None,
        loading: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            message = f"{function.__name__} yields: a job does its work and returns"
            raise TypeError(message)
        functools.update_wrapper(self, function)
        self.name: str = name or function.__name__
        self.function: Callable[[Run[S]], Any] = function
        self.settings: type[BaseSettings] | None = settings
        self.is_async: bool = inspect.iscoroutinefunction(function)
        self.loading: Mapping[str, Any] = MappingProxyType(dict(loading or {}))

    def _load(self, **arguments: Any) -> BaseSettings:
        assert self.settings is not None  # noqa: S101 - a job without settings never loads any
        return load_settings(self.settings, **{**self.loading, **arguments})

    def __call__(self, run: Run[S]) -> Any:
        """Call the function, inside a run that is under way.

        Raises:
            TypeError: It is not async, and returned something to await: nothing was done.
        """
        result = self.function(run)
        if not self.is_async and inspect.iscoroutine(result):  # a decorator hid an async function
            result.close()
            message = f"{self.name} returned a coroutine that nobody would await: declare it with async def"
            raise TypeError(message)
        return result

    def run(self, settings: S | None = None, *, profile: str | None = None, deadline_s: float | None = None) -> T:
        """Run the job here and return what its function returns. For tests, and for use from other code.

        Args:
            settings: Instead of loading them.
            profile: For `load_settings`.
            deadline_s: Seconds that the run may take; see `controlroom.clock.deadline`.

        Raises:
            Exception: What the function raised; logged once.
            ConfigError: The settings were refused.
            RuntimeError: An async job, inside a running event loop: await `arun` there.

        Guarantees:
            Neither signal handlers nor logging are set up; that is a host's work.
        """
        launch = Launch(settings=settings, profile=profile, deadline_s=deadline_s)
        if self.is_async:
            refuse_running_loop(f"{self.name}.run() starts an event loop; await {self.name}.arun() instead")
            return asyncio.run(self._awaited(launch))
        with self.launched(launch) as run:
            return cast("T", self(run))

    async def arun(
        self, settings: S | None = None, *, profile: str | None = None, deadline_s: float | None = None
    ) -> T:
        """Run the job in the running event loop; see `run`. A job that is not async blocks the loop meanwhile."""
        return await self._awaited(Launch(settings=settings, profile=profile, deadline_s=deadline_s))

    async def _awaited(self, launch: Launch[S]) -> T:
        with self.launched(launch) as run:
            result = self(run)
            return cast("T", await result if self.is_async else result)

    def main(self, argv: Sequence[str] | None = None, *, drain_s: float = 20.0) -> NoReturn:
        """Run the job as the command line *argv* says, and end the process with an exit code that says how it went.

        Args:
            argv: The arguments; those of the process when None.
            drain_s: Seconds that SIGTERM or SIGINT leaves the job to reach a safe point before it is interrupted.

        Raises:
            SystemExit: Always. ``--help`` lists the options; docs/reference/errors.md the exit codes.
            RuntimeError: Not in the main thread, or inside a running event loop.
        """
        from controlroom.hosts import command_line  # noqa: PLC0415 - a host, upstairs, and only when it is asked for

        raise SystemExit(command_line.run(self, argv, drain_s=drain_s))

    @contextmanager
    def launched(self, launch: Launch[S]) -> Iterator[Run[S]]:
        """Open one run: bind its id and deadline, load its settings, and tell in the log how it went. For hosts."""
        began_s, run_id = clock.monotonic_s(), new_run_id()
        within = nullcontext() if launch.deadline_s is None else clock.deadline(launch.deadline_s)
        with running(self.name, run_id):
            _log.info(
                "run_started",
                job=self.name,
                host=launch.host,
                host_facts=host_facts(),
                **_if_given(deadline_s=launch.deadline_s),
            )
            try:
                with within:
                    settings = self._settings(launch)
                    shutdown.raise_if_requested()
                    yield Run(settings, get_logger(self._logger_name), run_id, self.name)
            except BaseException as error:
                _finished(self.name, error, began_s)
                raise
            _finished(self.name, None, began_s)

    def _misfit(self, given: object) -> str:
        what = f"the class {given.__name__} itself" if isinstance(given, type) else f"a {type(given).__name__}"
        wanted = "nothing: it has no settings" if self.settings is None else f"an object of {self.settings.__name__}"
        return f"The job {self.name} cannot run with {what} as its settings. Nothing was run. Give {wanted}."

    @property
    def _logger_name(self) -> str:
        module = self.function.__module__
        return self.name if module == "__main__" else module

    def _settings(self, launch: Launch[S]) -> S:
        given = launch.settings
        if given is not None and not isinstance(given, self.settings or ()):
            raise ConfigError(self._misfit(given))
        if self.settings is None:
            return cast("S", None)
        settings = self._load(profile=launch.profile, assignments=launch.assignments) if given is None else given
        told = explain_settings(settings)
        _log.info("settings_loaded", settings=told.to_dict()["settings"])
        for near_miss in told.near_misses:
            _log.warning("setting_ignored", reason=near_miss)
        return cast("S", settings)


def refuse_running_loop(message: str) -> None:
    """Raise RuntimeError with *message* where an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(message)


def _finished(job: str, error: BaseException | None, began_s: float) -> None:
    outcome, exit_code = outcome_of(error), exit_code_of(error)
    if error is not None and outcome is Outcome.FAILED:
        _log.failure("run_failed", error, job=job)
    # Where a policy further in has logged the failure already, this line is where the run says what ended it.
    succeeded = error is None or outcome is Outcome.SUCCEEDED  # sys.exit(0) is no failure
    reason = None if succeeded else _said(error)
    code = None if succeeded else error.code if isinstance(error, ControlRoomError) else UNFORESEEN
    elapsed_s = round(clock.monotonic_s() - began_s, 3)
    _log.info(
        "run_finished",
        job=job,
        outcome=outcome.value,
        exit_code=exit_code,
        elapsed_s=elapsed_s,
        **_if_given(code=code, reason=reason),
    )


def _said(error: BaseException | None) -> str:
    """Return the error's text; of a foreign one with its class, since "'amount'" alone says nothing."""
    text = str(error)
    if isinstance(error, ControlRoomError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _if_given(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


class _Decorator(Protocol[S]):
    @overload
    def __call__(self, function: Callable[[Run[S]], Coroutine[Any, Any, T]], /) -> Job[S, T]: ...
    @overload
    def __call__(self, function: Callable[[Run[S]], T], /) -> Job[S, T]: ...


@overload
def job(function: Callable[[Run[None]], Coroutine[Any, Any, T]], /) -> Job[None, T]: ...
@overload
def job(function: Callable[[Run[None]], T], /) -> Job[None, T]: ...
@overload
def job(*, settings: None = None, name: str | None = None) -> _Decorator[None]: ...
@overload
def job(
    *,
    settings: type[SettingsT],
    prefix: str = ...,
    files: Paths = ...,
    secrets_dir: Paths | None = ...,
    unknown: Unknown = ...,
    cloud: CloudPolicy | None = ...,
    name: str | None = None,
) -> _Decorator[SettingsT]: ...
def job(
    function: Callable[[Run[Any]], Any] | None = None,
    /,
    *,
    settings: type[BaseSettings] | None = None,
    prefix: str = "APP_",
    files: Paths = ("app.toml",),
    secrets_dir: Paths | None = None,
    unknown: Unknown = "warn",
    cloud: CloudPolicy | None = None,
    name: str | None = None,
) -> Any:
    """Make a function a `Job`: ``@job``, or ``@job(settings=Settings, prefix="APP_", files=["app.toml"])``.

    Args:
        function: Takes a `Run`; sync or async.
        settings: The class of its settings; None: ``run.settings`` is None.
        prefix: For `load_settings`.
        files: For `load_settings`.
        secrets_dir: For `load_settings`.
        unknown: For `load_settings`.
        cloud: For `load_settings`.
        name: The job's name in the log; the function's own when None.
    """
    loading = {"prefix": prefix, "files": files, "secrets_dir": secrets_dir, "unknown": unknown, "cloud": cloud}

    def decorate(function: Callable[[Run[Any]], Any]) -> Job[Any, Any]:
        return Job(function, settings, loading, name)

    return decorate if function is None else decorate(function)
