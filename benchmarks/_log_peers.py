"""What our log is measured against: the same event with eight facts, three of them bound, to a file, as each library's manual has it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aws_lambda_powertools import Logger as PowertoolsLogger
from loguru import logger as loguru_logger

try:
    import orjson
except ImportError:  # the extra "speed" is not installed: structlog's recipe then runs with the standard library's json
    orjson = None  # type: ignore[assignment]

__all__ = ["BOUND", "ENDPOINT", "TEXT", "Peer", "Row", "failed", "peers", "rows", "with_facts"]

BOUND = {"run_id": "2026-11-22-7f3a91", "file": "landing/orders-2026-11-21.csv", "walk": "w1"}
TEXT = "page_fetched run_id=%s file=%s walk=%s endpoint=%s page=%s items=%s elapsed_s=%s key=%s"
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
ENDPOINT = "/v2/orders"

Row = tuple[int, float, str]


@dataclass(frozen=True)
class Peer:
    """One way to log: an event, the same below the threshold, a failure, and a record of somebody else's logger."""

    kv: Callable[[Row], object]
    dropped: Callable[[Row], object]
    failure: Callable[[Exception], object]
    foreign: logging.Logger | None = None


def rows(count: int) -> list[Row]:
    """No two events alike: a page number, a time and a key that were never seen before."""
    return [
        (page, page * 0.000137 + 0.01, f"s3://lake/orders/2026-11-21/part-{page:05d}.parquet") for page in range(count)
    ]


def failed() -> Exception:
    """Return an error that went up through ten frames and was wrapped half-way."""
    try:
        _sink(10)
    except RuntimeError as error:
        return error
    raise AssertionError


def _sink(depth: int) -> None:
    if depth == 0:
        message = "invalid literal for int() with base 10: 'n/a'"
        raise ValueError(message)
    if depth != 5:
        return _sink(depth - 1)
    try:
        return _sink(depth - 1)
    except ValueError as error:
        message = "row 17 of landing/orders-2026-11-21.csv could not be read"
        raise RuntimeError(message) from error


class ByHand(logging.Formatter):
    """The JSON formatter that many projects have written for themselves."""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        head = {"at": self.formatTime(record), "level": record.levelname, "logger": record.name}
        error = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps({**head, "event": record.getMessage(), **BOUND, **facts, **error})


def peers(folder: Path) -> Iterator[tuple[str, Peer]]:
    """Yield every contender but ours; the first is the baseline."""
    yield "logging, text", _standard_text(folder)
    yield "logging, text, LoggerAdapter", _standard_adapter(folder)
    yield "logging, JSON by hand", _standard_json(folder)
    yield "structlog, BytesLogger" + (" + orjson" if orjson else ""), _structlog_bytes(folder)
    yield "structlog, the same + dict_tracebacks", _structlog_bytes(folder, structlog.processors.dict_tracebacks)
    yield "structlog, ProcessorFormatter", _structlog_standard(folder)
    yield "loguru, serialize", _loguru(folder)
    yield "powertools Logger", _powertools(folder)


def _standard(name: str, formatter: logging.Formatter, folder: Path) -> logging.Logger:
    logger = logging.getLogger(name)
    handler = logging.FileHandler(folder / f"{name}.log")
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    return logger


def _standard_text(folder: Path) -> Peer:
    log = _standard("text", logging.Formatter(FORMAT), folder)
    run_id, file, walk = BOUND.values()

    def kv(row: Row) -> None:
        page, elapsed_s, key = row
        log.info(TEXT, run_id, file, walk, ENDPOINT, page, 200, elapsed_s, key)

    def dropped(row: Row) -> None:
        page, elapsed_s, key = row
        log.debug(TEXT, run_id, file, walk, ENDPOINT, page, 200, elapsed_s, key)

    def failure(error: Exception) -> None:
        log.error("ingest_failed run_id=%s file=%s walk=%s", run_id, file, walk, exc_info=error)

    return Peer(kv, dropped, failure, log)


def _standard_adapter(folder: Path) -> Peer:
    """The standard library's own way to bind facts."""
    bound = " ".join(f"{name}=%({name})s" for name in BOUND)
    standard = _standard("adapter", logging.Formatter(FORMAT.replace("%(message)s", f"%(message)s {bound}")), folder)
    log = logging.LoggerAdapter(standard, BOUND)
    text = "page_fetched endpoint=%s page=%s items=%s elapsed_s=%s key=%s"

    def kv(row: Row) -> None:
        page, elapsed_s, key = row
        log.info(text, ENDPOINT, page, 200, elapsed_s, key)

    def dropped(row: Row) -> None:
        page, elapsed_s, key = row
        log.debug(text, ENDPOINT, page, 200, elapsed_s, key)

    return Peer(kv, dropped, lambda error: log.error("ingest_failed", exc_info=error))


def _standard_json(folder: Path) -> Peer:
    log = _standard("by_hand", ByHand(), folder)

    def kv(row: Row) -> None:
        page, elapsed_s, key = row
        facts = {"endpoint": ENDPOINT, "page": page, "items": 200, "elapsed_s": elapsed_s, "key": key}
        log.info("page_fetched", extra={"facts": facts})

    def dropped(row: Row) -> None:
        page, elapsed_s, key = row
        facts = {"endpoint": ENDPOINT, "page": page, "items": 200, "elapsed_s": elapsed_s, "key": key}
        log.debug("page_fetched", extra={"facts": facts})

    return Peer(kv, dropped, lambda error: log.error("ingest_failed", exc_info=error), log)


def with_facts(log: Any) -> Peer:
    """Log through *log*, which takes facts as keywords."""

    def kv(row: Row) -> None:
        page, elapsed_s, key = row
        log.info("page_fetched", endpoint=ENDPOINT, page=page, items=200, elapsed_s=elapsed_s, key=key)

    def dropped(row: Row) -> None:
        page, elapsed_s, key = row
        log.debug("page_fetched", endpoint=ENDPOINT, page=page, items=200, elapsed_s=elapsed_s, key=key)

    return Peer(kv, dropped, lambda error: log.error("ingest_failed", exc_info=error))


def _structlog_bytes(folder: Path, tracebacks: Any = structlog.processors.format_exc_info) -> Peer:
    """The recipe of structlog's page on performance, with bound facts; every line reaches the file at once, as ours do."""
    raw = structlog.BytesLogger((folder / f"bytes-{id(tracebacks)}.jsonl").open("ab"))
    dumps = orjson.dumps if orjson else lambda event, **_: json.dumps(event).encode()
    chain = [
        structlog.processors.add_log_level,
        tracebacks,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=dumps),
    ]
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    return with_facts(structlog.wrap_logger(raw, processors=chain, wrapper_class=wrapper).bind(**BOUND))


def _structlog_standard(folder: Path) -> Peer:
    processors = structlog.processors
    shared = [processors.add_log_level, structlog.stdlib.add_logger_name, processors.TimeStamper(fmt="iso", utc=True)]
    render = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, processors.format_exc_info]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[*render, processors.JSONRenderer()]
    )
    standard = _standard("processor_formatter", formatter, folder)
    chain = [*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    peer = with_facts(structlog.wrap_logger(standard, processors=chain, wrapper_class=wrapper).bind(**BOUND))
    return Peer(peer.kv, peer.dropped, peer.failure, standard)


def _loguru(folder: Path) -> Peer:
    loguru_logger.remove()
    loguru_logger.add(folder / "loguru.jsonl", serialize=True, level="INFO", format="{message}")
    log = loguru_logger.bind(**BOUND)
    peer = with_facts(log)
    return Peer(peer.kv, peer.dropped, lambda error: log.opt(exception=error).error("ingest_failed"))


def _powertools(folder: Path) -> Peer:
    os.environ.setdefault("POWERTOOLS_LOG_DEDUPLICATION_DISABLED", "1")
    handler = logging.FileHandler(folder / "powertools.jsonl")
    log = PowertoolsLogger(service="orders", level="INFO", logger_handler=handler)
    logging.getLogger("orders").propagate = False  # or each of its lines would be one of ours, too
    log.append_keys(**BOUND)
    return with_facts(log)
