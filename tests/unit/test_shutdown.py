from __future__ import annotations

import os
import resource
import select
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from controlroom import shutdown
from controlroom.errors import Disposition, ShutdownRequested

if TYPE_CHECKING:
    from collections.abc import Iterator

AN_HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    shutdown.reset()


def test_nobody_asked() -> None:
    assert not shutdown.requested()
    assert shutdown.raise_if_requested() is None


@pytest.mark.parametrize(("number", "name", "exit_code"), [(15, "SIGTERM", 143), (2, "SIGINT", 130)])
def test_a_safe_point_says_which_signal_it_was_and_what_to_do(number: int, name: str, exit_code: int) -> None:
    shutdown.request(number)

    with pytest.raises(ShutdownRequested) as raised:
        shutdown.raise_if_requested()

    assert raised.value.message == (
        f"{name} was received: stopped at a safe point. Nothing is half done; start again to go on."
    )
    assert (raised.value.signal, raised.value.exit_code) == (number, exit_code)
    assert raised.value.disposition is Disposition.RETRY


def test_the_request_sticks() -> None:
    shutdown.request()

    for _ in range(2):
        assert shutdown.requested()
        with pytest.raises(ShutdownRequested):
            shutdown.raise_if_requested()


def test_the_first_signal_is_the_one_that_is_told() -> None:
    shutdown.request(signal.SIGINT)
    shutdown.request(signal.SIGTERM)

    with pytest.raises(ShutdownRequested) as raised:
        shutdown.raise_if_requested()

    assert raised.value.signal == signal.SIGINT


def test_a_request_without_a_number_is_a_sigterm() -> None:
    shutdown.request()

    with pytest.raises(ShutdownRequested, match="SIGTERM"):
        shutdown.raise_if_requested()


def test_waiting_without_a_host_is_a_programming_error_and_not_a_hang() -> None:
    with pytest.raises(RuntimeError) as refused:
        shutdown.wait(0)

    assert str(refused.value) == "shutdown.wait() needs arm() first"


def test_a_wait_nobody_disturbs_ends_with_its_time() -> None:
    shutdown.arm()

    assert shutdown.wait(0) is None
    assert not shutdown.requested()


@pytest.mark.parametrize(("timeout_s", "asked_ms"), [(2.5, 2_500), (0, 0), (1e9, 2**31 - 1)])
def test_a_wait_watches_the_socket_for_bytes_and_nothing_else(
    timeout_s: float, asked_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched for room to write, or on another descriptor, every wait would end at once."""
    asked: list[object] = []

    class Poller:
        def register(self, *what: object) -> None:
            asked.extend(what)

        def poll(self, timeout_ms: float) -> None:
            asked.append(timeout_ms)

    monkeypatch.setattr(shutdown, "poll", Poller)
    shutdown.arm()
    assert shutdown._wake is not None

    shutdown.wait(timeout_s)

    assert asked == [shutdown._wake[0], select.POLLIN, asked_ms]


def test_after_a_request_every_wait_ends_at_once() -> None:
    shutdown.arm()
    shutdown.request()

    for _ in range(3):
        shutdown.wait(AN_HOUR_S)


def test_a_wait_longer_than_the_kernel_can_count_is_still_a_wait() -> None:
    shutdown.arm()
    shutdown.request()

    shutdown.wait(1e9)


def test_one_request_ends_the_waits_of_all_threads() -> None:
    shutdown.arm()
    begun = threading.Barrier(4)

    def wait() -> None:
        begun.wait(timeout=30)
        shutdown.wait(AN_HOUR_S)

    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(wait) for _ in range(3)]
        begun.wait(timeout=30)
        shutdown.request()
        for done in waits:
            done.result(timeout=60)


def test_a_storm_of_signals_does_not_block_the_handler_on_a_full_socket() -> None:
    shutdown.arm()

    for _ in range(5_000):
        shutdown.request()

    assert shutdown.requested()


def test_arming_twice_keeps_the_sockets_that_threads_wait_on() -> None:
    shutdown.arm()
    sockets = shutdown._wake
    shutdown.arm()

    assert shutdown._wake is sockets
    assert shutdown.armed()


def test_resetting_forgets_the_request_and_closes_the_sockets() -> None:
    shutdown.arm()
    sockets = shutdown._wake
    shutdown.request()

    shutdown.reset()

    assert sockets is not None
    assert [end.fileno() for end in sockets] == [-1, -1]
    assert not shutdown.requested()
    assert not shutdown.armed()


def test_a_request_between_the_closing_and_the_forgetting_of_the_sockets_does_not_break_the_handler() -> None:
    shutdown.arm()
    assert shutdown._wake is not None
    for end in shutdown._wake:
        end.close()

    shutdown.request()

    assert shutdown.requested()


def test_a_listener_hears_the_request_while_it_listens_and_not_after() -> None:
    heard: list[str] = []

    with shutdown.on_request(lambda: heard.append("outer")):
        with pytest.raises(ZeroDivisionError), shutdown.on_request(lambda: heard.append("inner")):
            raise ZeroDivisionError
        shutdown.request()
    shutdown.request()

    assert heard == ["outer"]


def test_the_same_listener_may_listen_twice() -> None:
    heard: list[str] = []

    def listener() -> None:
        heard.append("heard")

    with shutdown.on_request(listener):
        with shutdown.on_request(listener):
            pass
        shutdown.request()

    assert heard == ["heard"]


def test_a_listener_that_stops_listening_while_it_is_told_disturbs_no_other() -> None:
    heard: list[str] = []
    with ExitStack() as first:

        def leave() -> None:
            first.close()

        first.enter_context(shutdown.on_request(leave))
        with shutdown.on_request(lambda: heard.append("second")):
            shutdown.request()

    assert heard == ["second"]


def test_a_process_with_more_than_a_thousand_open_files_can_still_wait() -> None:
    """select(2) knows no descriptor above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this process may open only {hard} files, so no descriptor is above 1023")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    descriptors: list[int] = []
    try:
        while not descriptors or descriptors[-1] < 1_100:
            descriptors.append(os.open(os.devnull, os.O_RDONLY))
        shutdown.arm()
        assert shutdown._wake is not None
        assert shutdown._wake[0].fileno() > 1_023
        shutdown.wait(0)
        shutdown.request()
        shutdown.wait(AN_HOUR_S)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_a_fork_does_to_an_unarmed_process_is_nothing() -> None:
    shutdown._arm_anew()

    assert not shutdown.armed()


def test_a_forked_child_gets_sockets_of_its_own_and_keeps_a_request_that_was_made() -> None:
    shutdown.arm()
    inherited = shutdown._wake
    shutdown.request()

    shutdown._arm_anew()

    assert shutdown.armed()
    assert shutdown._wake is not None
    assert shutdown._wake is not inherited
    assert [end.fileno() >= 0 for end in shutdown._wake] == [True, True]
    assert shutdown.requested()


def test_a_signal_that_asked_for_nothing_ends_one_wait_only() -> None:
    shutdown.arm()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with shutdown.woken_by_signals():
            signal.raise_signal(signal.SIGUSR1)
            shutdown.wait(AN_HOUR_S)
        timer = threading.Timer(0.05, shutdown.request)
        timer.start()
        shutdown.wait(AN_HOUR_S)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert shutdown.requested()


def test_nothing_wakes_what_is_not_armed() -> None:
    with pytest.raises(RuntimeError, match="arm"), shutdown.woken_by_signals():
        pass
