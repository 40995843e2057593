"""An event with eight facts to a file, against the standard library's text log and its JSON by hand."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from _side_by_side import compare

from controlroom import get_logger, register_secret, setup_logging

EVENTS = 5_000
FACTS = {"endpoint": "/orders", "page": 7, "items": 200, "elapsed_s": 0.31, "key": "a.csv", "attempt": 1, "ok": True}


class AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {"at": self.formatTime(record), "level": record.levelname, "event": record.msg, **record.facts}
        )


def main() -> None:
    with TemporaryDirectory() as folder:
        text, by_hand = logging.getLogger("text"), logging.getLogger("by_hand")
        plain, as_json = (logging.FileHandler(Path(folder) / name) for name in ("text.log", "by_hand.jsonl"))
        plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        as_json.setFormatter(AsJson())
        for logger, handler in ((text, plain), (by_hand, as_json)):
            logger.addHandler(handler)
            logger.setLevel("INFO")
            logger.propagate = False
        stderr = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # only the file is compared
        report = setup_logging(level="INFO", format="json", file=Path(folder) / "ours.jsonl")
        logging.getLogger().handlers[0].setLevel("CRITICAL")
        os.dup2(stderr, 2)
        register_secret("a-secret-that-is-looked-for")
        ours = get_logger("ours")

        def log_text() -> None:
            for _ in range(EVENTS):
                text.info("page_fetched %s", FACTS)

        def log_by_hand() -> None:
            for _ in range(EVENTS):
                by_hand.info("page_fetched", extra={"facts": FACTS})

        def log_ours() -> None:
            for _ in range(EVENTS):
                ours.info("page_fetched", **FACTS)

        compare(
            f"{EVENTS:,} events to a file",
            {"logging, text": log_text, "logging, JSON by hand": log_by_hand, "controlroom, with redaction": log_ours},
        )
        report.undo()


if __name__ == "__main__":
    main()
