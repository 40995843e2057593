"""The form of our lines on the runtime's handler; tests/integration/test_logs_lambda.py has the runtime itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from controlroom.logs import get_logger, setup_logging

log = get_logger("app")


class JsonFormatter(logging.Formatter):
    """As the runtime's: puts the type of the frame on the record that it formats."""

    asked = 0

    def format(self, record: logging.LogRecord) -> str:
        type(self).asked += 1
        record._frame_type = f"json {record.levelname}"
        return "of the runtime"


class LambdaLoggerHandler(logging.Handler):
    """As the runtime's: its filter puts the request on each record, and it writes a frame of the type found there."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[Any, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id, record.tenant_id = "request-1", "blue"
        text = self.format(record)
        self.frames.append((getattr(record, "_frame_type", None), text))


@pytest.fixture
def handler(request: pytest.FixtureRequest, root_without_pytest: None) -> Iterator[LambdaLoggerHandler]:
    root, found = logging.getLogger(), LambdaLoggerHandler()
    found.setFormatter(request.param())
    root.addHandler(found)
    yield found
    root.removeHandler(found)


@pytest.mark.parametrize("handler", [JsonFormatter], indirect=True)
def test_where_the_platform_reads_json_each_line_is_a_frame_of_its_level_with_the_platforms_names(
    handler: LambdaLoggerHandler,
) -> None:
    report = setup_logging()
    before = JsonFormatter.asked
    for number in range(3):
        log.info("tried", number=number)
    log.warning("retried")
    report.undo()

    kinds = [kind for kind, _text in handler.frames]
    lines = [json.loads(text) for _kind, text in handler.frames]
    assert kinds == ["json INFO"] * 3 + ["json WARNING"]
    assert {(line["requestId"], line["tenantId"]) for line in lines} == {("request-1", "blue")}
    assert not {"aws_request_id", "tenant_id", "_frame_type"} & lines[0].keys()
    assert all(text.endswith("}\n") for _kind, text in handler.frames)
    assert JsonFormatter.asked - before == 2, "once a level"


@pytest.mark.parametrize("handler", [logging.Formatter], indirect=True)
def test_where_the_platform_reads_text_frames_stay_what_they_are(handler: LambdaLoggerHandler) -> None:
    report = setup_logging()
    log.info("tried")
    report.undo()

    ((kind, text),) = handler.frames
    line = json.loads(text)
    assert kind is None
    assert (line["aws_request_id"], line["tenant_id"]) == ("request-1", "blue")


@pytest.mark.parametrize("handler", [JsonFormatter], indirect=True)
def test_lines_for_people_are_no_json_whatever_the_platform_reads(handler: LambdaLoggerHandler) -> None:
    report = setup_logging(format="console")
    log.info("tried", page=7)
    report.undo()

    ((kind, text),) = handler.frames
    assert kind is None
    assert text.endswith("tried page=7 aws_request_id=request-1 tenant_id=blue [app]\n")


class FormatterWithoutType(logging.Formatter):
    pass


FormatterWithoutType.__name__ = "JsonFormatter"


@pytest.mark.parametrize("handler", [FormatterWithoutType], indirect=True)
def test_a_runtime_that_knows_no_types_of_frames_gets_the_line_all_the_same(handler: LambdaLoggerHandler) -> None:
    report = setup_logging()
    log.info("tried")
    report.undo()

    ((kind, text),) = handler.frames
    assert (kind, json.loads(text)["event"]) == (None, "tried")
