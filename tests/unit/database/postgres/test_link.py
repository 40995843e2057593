"""What the answer to COMMIT means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.database.classify import Situation, translated
from controlroom.database.options import Options
from controlroom.database.postgres.link import PsycopgLink
from controlroom.database.postgres.meanings import PostgresMeanings
from controlroom.errors import CommitInDoubtError, DoomedTransactionError


class Answering(PsycopgLink):
    """A link whose server says one thing."""

    answer: Any = None

    def run(self, sql: str) -> Any:
        return self.answer

    def limit(self, seconds: float | None) -> None:
        """Wait as long as it takes."""


@pytest.fixture
def link() -> Answering:
    return Answering(SimpleNamespace(), Options())


def test_a_commit_that_was_answered_with_rollback_has_rolled_back(link: Answering) -> None:
    link.answer = "ROLLBACK"

    with pytest.raises(DoomedTransactionError, match="rolled back"):
        link.commit()


@pytest.mark.parametrize("answer", [None, "", "INSERT 0 1"])
def test_an_answer_to_something_else_leaves_the_commit_in_doubt(link: Answering, answer: str | None) -> None:
    link.answer = answer

    with pytest.raises(ConnectionError) as caught:
        link.commit()

    situation = Situation("COMMIT", "commit")
    assert isinstance(translated(caught.value, situation, PostgresMeanings()), CommitInDoubtError)
