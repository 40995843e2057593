"""What a person reads where nobody knows whether COMMIT happened."""

from __future__ import annotations

from controlroom.database.evidence import NO_EVIDENCE, Evidence


def test_each_piece_of_evidence_is_a_way_to_settle_it() -> None:
    text = Evidence("orders:7", 42, "753", "SELECT pg_xact_status('{xid}')").how_to_settle()
    assert "'orders:7' in controlroom_ledger" in text
    assert "SELECT pg_xact_status('753')" in text
    assert "process 42" in text


def test_without_evidence_there_is_still_something_to_do() -> None:
    assert NO_EVIDENCE.how_to_settle().startswith("look for what it wrote.")
    assert "pg_xact_status" not in Evidence("k", None, None).how_to_settle()
