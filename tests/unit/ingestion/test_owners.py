"""A claim whose worker is dead need not be waited for, and one whose worker may live is never taken early."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from controlroom.ingestion import owners
from controlroom.ingestion.owners import Holder, is_gone

NAME_OWNER = "from controlroom.ingestion.owners import Holder; h = Holder(); print(h.owner, flush=True); input()"


@pytest.fixture(autouse=True)
def own_register(monkeypatch):
    monkeypatch.setattr(owners, "_abandoned", set())


@pytest.fixture
def other_process():
    with subprocess.Popen([sys.executable, "-c", NAME_OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def owner_of(process):
    return process.stdout.readline().decode().strip()


def test_each_claim_has_a_name_of_its_own():
    first, second = Holder(), Holder()
    assert first.owner != second.owner


def test_a_holder_that_lives_is_not_gone():
    holder = Holder()
    assert not is_gone(holder.owner)


def test_a_worker_in_another_process_lives_until_it_is_killed(other_process):
    owner = owner_of(other_process)
    assert not is_gone(owner)
    other_process.kill()
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)  # ended, but still a zombie
    assert is_gone(owner)
    other_process.wait()
    assert is_gone(owner)


def test_another_process_under_the_same_number_is_not_the_worker():
    place, pid, started, token = Holder().owner.rsplit("/", 3)
    assert is_gone(f"{place}/{pid}/{int(started) - 1}/{token}")


def test_a_worker_on_another_machine_may_live():
    _, _pid, started, token = Holder().owner.rsplit("/", 3)
    assert not is_gone(f"another-boot:pid:[1]/999999999/{started}/{token}")


@pytest.mark.parametrize("owner", [None, "", "x", "x/y", "somebody else's name", "//", "a/b/c/d"])
def test_a_name_that_is_not_ours_says_nothing(owner):
    assert not is_gone(owner)


def test_a_delivery_that_was_dropped_is_given_back_at_once():
    holder = Holder()
    owner = holder.owner
    del holder
    gc.collect()
    assert is_gone(owner)


def test_a_claim_that_was_settled_is_not_remembered():
    holder = Holder()
    holder.settle()
    holder.abandon()
    del holder
    assert owners._abandoned == set()


def test_without_proc_only_the_lease_decides(monkeypatch, tmp_path):
    monkeypatch.setattr(owners, "_PROC", tmp_path)
    holder = Holder()
    assert not is_gone(holder.owner)
    assert not is_gone(f"process-{os.getpid() + 1}/1/?/x")
    holder.abandon()
    assert is_gone(holder.owner)
