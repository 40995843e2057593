"""What a server's list of clients shows: who, in which run, and no secret."""

from __future__ import annotations

from controlroom.database.application_names import application_name
from controlroom.logs import bound
from controlroom.redaction import forget_secrets, register_secret

RUN = "01999999-0000-7000-8000-000000000001"


def test_the_run_is_named_where_nothing_was_given() -> None:
    assert application_name(None) == "controlroom"
    with bound(run_id=RUN):
        assert application_name(None) == f"controlroom {RUN}"
        assert application_name("mine") == "mine"
        with bound(job="orders"):
            assert application_name(None) == f"controlroom orders {RUN}"


def test_the_run_id_stays_whole_whatever_the_job_is_called() -> None:
    with bound(run_id=RUN, job="j" * 200):
        name = application_name(None)
    assert len(name) == 63
    assert name.endswith(f"jj {RUN}")


def test_what_a_server_would_cut_or_misread_is_replaced() -> None:
    assert application_name("häß\\\n" + "x" * 100) == ("h????" + "x" * 100)[:63]


def test_a_secret_is_masked_also_where_it_was_registered_later() -> None:
    try:
        assert application_name("job hunter2hunter2") == "job hunter2hunter2"
        register_secret("hunter2hunter2")
        assert application_name("job hunter2hunter2") == "job ***"
    finally:
        forget_secrets()
