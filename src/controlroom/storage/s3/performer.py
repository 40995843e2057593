"""Performs calls with botocore, synchronously."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from botocore import xform_name

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.errors import ControlRoomError
from controlroom.policy.object_calls import Call, Calls
from controlroom.storage.s3.capabilities import Capabilities
from controlroom.storage.s3.classify import classified
from controlroom.storage.s3.clients import S3Client
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.reach import Reach
from controlroom.storage.s3.silence import unlogged
from controlroom.storage.s3.sockets import call_until_s
from controlroom.storage.s3.tries import Tries, understood
from controlroom.storage.s3_keys import S3Place

__all__ = ["S3Performer"]


class S3Performer(Reach):
    """Performs the calls of a store, each tried again as its policy allows; see `Call` and `Calls`.

    Args:
        place: Bucket and prefix.
        options: How to reach them.

    Attributes:
        capabilities: What the server does, found out when it is asked for.
    """

    def __init__(self, place: S3Place, options: S3Options) -> None:
        super().__init__(place, options)
        self.capabilities: Capabilities = Capabilities(self)
        self._client = S3Client(options)

    def perform(self, step: Call | Calls) -> Any:
        """Return what the store answered to *step*.

        Raises:
            DeadlineExceededError: The deadline had passed already. Nothing was sent.
            ControlRoomError: What ended the tries; see `classify`.
        """
        return self._together(step.calls) if isinstance(step, Calls) else self._one(step)

    def _one(self, call: Call) -> Any:
        began_at_s = clock.monotonic_s()
        if (limit := current_deadline()) is not None and limit.is_over:
            limit.require(f"{call.operation} {self.ref(call.params)}")
        try:
            return self._ask(call)
        except Exception as error:  # noqa: BLE001 - whatever the libraries raise is translated
            return self._again(call, began_at_s, error)

    def _ask(self, call: Call) -> Any:
        quiet, until = unlogged.set(True), call_until_s.set(clock.monotonic_s() + self.options.timeouts.call_s)
        try:
            answer = getattr(self._client.get(), xform_name(call.operation))(**self.carried, **call.params)
            return understood(call.operation, answer)
        finally:
            call_until_s.reset(until)
            unlogged.reset(quiet)

    def _again(self, call: Call, began_at_s: float, first: Exception) -> Any:
        """Go on from the *first* failure: a call that succeeds at once needs none of this."""
        tries = Tries(call, self.ref(call.params))

        def attempt() -> Any:
            try:
                return self._ask(call)
            except Exception as error:  # noqa: BLE001 - as above
                return self._mended(tries, error)

        try:
            return self._mended(tries, first)
        except ControlRoomError as ours:
            failed = ours
        policy = tries.policy(self.options.retry)
        try:
            return policy.resumed(attempt, failed=failed, began_at_s=began_at_s)
        finally:
            del failed  # it would close a cycle: error, traceback, this frame, error

    def _mended(self, tries: Tries, error: Exception) -> Any:
        """Return what a repetition at once gave, where one can mend *error*; raise it as one of ours otherwise."""
        if not tries.goes_again_at_once(error):
            ours = tries.failed(error)
            raise ours from ours.__cause__
        try:
            if tries.needs_credentials(error):
                self._client.renew()
            return self._ask(tries.call)
        except Exception as again:  # noqa: BLE001 - as above
            ours = tries.failed(again)
            raise ours from ours.__cause__

    def _together(self, calls: tuple[Call, ...]) -> list[Any]:
        if len(calls) <= 1:
            return [self._one(call) for call in calls]
        context, abandon = clock.abandonable()
        with ThreadPoolExecutor(min(self.options.parallel, len(calls)), "controlroom-s3") as pool:
            futures: list[Future[Any]] = []
            try:
                futures += [pool.submit(context.copy().run, self._one, call) for call in calls]
                ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
            except BaseException:
                abandon()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [future.result() for future in futures]

    def read(self, body: Any, size_bytes: int, ref: str) -> bytes:
        """Return at most *size_bytes* of *body*, the streaming body of an answer; none at its end.

        Raises:
            StorageUnavailableError: It broke off, or came too slowly.
        """
        try:
            chunk: bytes = body.read(size_bytes)
        except BaseException as error:
            body.close()  # what is left of it is nobody's: the connection is not used again
            if not isinstance(error, Exception):
                raise
            ours = classified(error, ref=ref, operation="GetObject")
            raise ours from error
        return chunk

    def server(self) -> str:
        """Return the URL of the endpoint, wherever that is configured."""
        try:
            client = self._client.get()
        except Exception as error:
            ours = classified(error, ref=self.place.url, operation="GetBucketLocation")
            raise ours from error
        return str(client.meta.endpoint_url)

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        self._client.close()
