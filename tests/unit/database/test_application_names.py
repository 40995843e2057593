"""What a server's list of clients shows: who, in which run, and no secret."""

from __future__ import annotations

import asyncio

from controlroom.database.application_names import application_name
from controlroom.jobs import Run, job
from controlroom.logs import bound, spawn
from controlroom.redaction import forget_secrets, register_secret

RUN = "01999999-0000-7000-8000-000000000001"


def test_the_run_is_named_where_nothing_was_given() -> None:
    assert application_name(None) == "controlroom"
    with bound(run_id=RUN):
        assert application_name(None) == f"controlroom {RUN}"
        assert application_name("mine") == "mine"
        with bound(job="orders"):
            assert application_name(None) == f"controlroom orders {RUN}"


def test_inside_a_job_its_name_and_its_run_are_named_wherever_its_work_goes() -> None:
    seen: list[str] = []
    wanted: list[str] = []

    @job
    def inner(run: Run[None]) -> str:
        seen.append(application_name(None))
        return f"controlroom inner {run.id}"

    @job
    async def outer(run: Run[None]) -> str:
        named = asyncio.to_thread(application_name, None)
        seen.extend([application_name(None), await named, spawn(application_name, None).result()])
        with bound(job="a part of it"):
            seen.append(application_name(None))
        wanted.append(await asyncio.to_thread(inner.run))
        seen.append(application_name(None))
        return f"controlroom outer {run.id}"

    mine = outer.run()
    part = mine.replace("outer", "a part of it")

    assert seen == [mine, mine, mine, part, *wanted, mine]
    assert application_name(None) == "controlroom"


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
