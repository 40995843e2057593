"""What a server sends behind the end of an answer must not become the answer to the next request.

The library keeps such bytes in its buffer and the connection in its pool, where it looks idle: the next request would be
answered by what was there before it was sent (RFC 9112 section 6.3 asks for the connection to be closed instead).
"""

from __future__ import annotations

from typing import Any

__all__ = ["distrust_what_is_left"]


def distrust_what_is_left(stream: Any) -> None:
    """Have the connection below *stream* closed with it where more came than one answer.

    To be called once the answer was read and before it is closed. The library has no place for it, hence the private
    names; a test with a server that answers twice fails should they ever change.
    """
    stream = getattr(stream, "_httpcore_stream", stream)
    connection = getattr(getattr(stream, "_stream", None), "_connection", None)
    state = getattr(connection, "_h11_state", None)
    if state is not None and state.trailing_data[0]:
        state.send_failed()  # a connection in that state is not used again
