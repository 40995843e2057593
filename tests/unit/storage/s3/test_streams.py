from __future__ import annotations

from controlroom.storage.s3.streams import Window

KIB = 1024


def test_who_reads_on_gets_more_and_who_jumps_little() -> None:
    window = Window(1000 * KIB)
    ends = [window.end(0, 1, 10_000 * KIB) for _ in range(4)]
    assert ends == [256 * KIB, 512 * KIB, 1000 * KIB, 1000 * KIB]
    window.restart()
    assert window.end(0, 1, 10_000 * KIB) == 256 * KIB


def test_what_is_wanted_is_asked_for_whole_and_nothing_beyond_the_end() -> None:
    window = Window(1000 * KIB)
    assert window.end(0, 5000 * KIB, 10_000 * KIB) == 5000 * KIB
    assert window.end(9_999 * KIB, 1, 10_000 * KIB) == 10_000 * KIB
