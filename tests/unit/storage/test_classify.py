from __future__ import annotations

import errno
import os

import pytest

from controlroom.errors import (
    Disposition,
    FileOperationError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageFullError,
    StorageUnavailableError,
    UnsafePathError,
)
from controlroom.storage.classify import classified, translating

TABLE = [
    (errno.ENOENT, ObjectNotFoundError),
    (errno.EEXIST, ObjectExistsError),
    (errno.EACCES, StorageAccessError),
    (errno.EPERM, StorageAccessError),
    (errno.EROFS, StorageAccessError),
    (errno.ENOSPC, StorageFullError),
    (errno.EDQUOT, StorageFullError),
    (errno.EFBIG, StorageFullError),
    (errno.EISDIR, UnsafePathError),
    (errno.ENOTDIR, UnsafePathError),
    (errno.ELOOP, UnsafePathError),
    (errno.ENAMETOOLONG, UnsafePathError),
    (errno.EILSEQ, UnsafePathError),
    (errno.EAGAIN, StorageUnavailableError),
    (errno.ETIMEDOUT, StorageUnavailableError),
    (errno.ESTALE, StorageUnavailableError),
]


def failed(number: int) -> FileOperationError:
    return classified(OSError(number, os.strerror(number)), ref="/data/a", doing="writing", left="Nothing is left.")


@pytest.mark.parametrize(("number", "kind"), TABLE, ids=lambda value: errno.errorcode.get(value, None))
def test_each_errno_has_its_class(number: int, kind: type[FileOperationError]) -> None:
    assert type(failed(number)) is kind


@pytest.mark.parametrize("number", [errno.EIO, errno.EXDEV, errno.EBUSY, errno.EMFILE, errno.ENOTTY])
def test_what_a_person_must_look_at_is_never_retried(number: int) -> None:
    error = failed(number)

    assert type(error) is FileOperationError
    assert error.disposition is Disposition.STOP


def test_a_message_states_the_fact_the_state_left_and_the_next_act() -> None:
    assert failed(errno.ENOSPC).message == (
        "/data/a: writing: No space left on device (ENOSPC). Nothing is left. Make room, then run it again."
    )
    assert failed(errno.ENOSPC).ref == "/data/a"


def test_another_filesystem_is_refused_by_name() -> None:
    assert "(EXDEV)" in failed(errno.EXDEV).message
    assert "a copy would not be atomic and was refused" in failed(errno.EXDEV).message


def test_an_error_without_a_number_keeps_its_text() -> None:
    assert "weird" in classified(OSError("weird"), ref="/a", doing="reading").message


def test_the_original_is_the_cause() -> None:
    original = PermissionError(errno.EACCES, "no")

    with pytest.raises(StorageAccessError) as caught, translating("/a", "reading"):
        raise original
    assert caught.value.__cause__ is original


def test_what_is_no_os_error_goes_up_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), translating("/a", "reading"):
        raise ZeroDivisionError
