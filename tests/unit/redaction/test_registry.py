from __future__ import annotations

import sys
import threading

import pytest

from controlroom import redaction
from controlroom.redaction import forget_secrets, redact_text, register_secret
from controlroom.redaction.registry import Registry


def registry_of(*forms: str) -> Registry:
    registry = Registry()
    registry.add(forms)
    return registry


@pytest.mark.parametrize("length", range(4, 24))
def test_a_form_is_found_wherever_it_stands(length: int) -> None:
    form = "0123456789abcdefghijklmn"[:length]
    registry = registry_of(form)

    for before in range(20):
        for after in range(9):
            text = "." * before + form + "." * after
            assert set(registry.spans(text)) == {(before, before + length)}


@pytest.mark.parametrize("form", ["пар", "паро", "🔑🔑🔑🔑", "éé-éé", "\udcff\udcfe\udcfd\udcfc"])
def test_forms_and_texts_of_any_script_are_found(form: str) -> None:
    registry = registry_of(form)

    for before in ("", ".", "é.", "🔑", "\ud800 "):
        assert registry.spans(f"{before} {form} .") == [(len(before) + 1, len(before) + 1 + len(form))]


def test_a_text_of_the_length_of_the_shortest_form_is_searched() -> None:
    registry = registry_of("0123456789", "01234567")

    assert registry.spans("01234567") == [(0, 8)]
    assert registry.spans("0123456") == []


def test_an_empty_registry_finds_nothing() -> None:
    assert Registry().spans("anything at all") == []


def test_forms_that_share_their_end_are_all_found() -> None:
    registry = registry_of("prefix-one-secret", "prefix-two-secret", "one-secret")

    assert sorted(registry.spans("prefix-one-secret")) == [(0, 17), (7, 17)]
    assert registry.spans("prefix-two-secret") == [(0, 17)]


def test_a_form_added_twice_is_kept_once() -> None:
    registry = registry_of("secret-secret", "secret-secret", "abcd", "abcd", "ab", "ab")

    assert registry.spans("secret-secret") == [(0, 13)]
    assert registry.spans("abcd") == [(0, 4)]
    assert registry.spans("ab") == [(0, 2)]


def test_occurrences_that_overlap_are_one_span_and_others_are_not() -> None:
    assert registry_of("aaaaaaa").spans("aaaaaaaa.aaaaaaaaa") == [(0, 8), (9, 18)]
    registry = registry_of("aXaXaXa")

    assert registry.spans("aXaXaXaXa aXaXaXaaXaXaXa") == [(0, 9), (10, 24)]
    assert registry.spans("aXaXaXa aXaXaXa") == [(0, 7), (8, 15)]


def test_every_occurrence_is_found() -> None:
    assert registry_of("secret-1").spans("secret-1,secret-1,secret-2,secret-1") == [(0, 8), (9, 17), (27, 35)]
    assert registry_of("abcd").spans("abcdabcd abcd") == [(0, 8), (9, 13)]


@pytest.mark.parametrize("text", ["xab", "abx", "_ab", "ab1", "éab", "aba"])
def test_a_tiny_form_inside_a_word_is_not_found(text: str) -> None:
    assert registry_of("ab", "c.").spans(text) == []


def test_tiny_forms_are_found_alone() -> None:
    assert registry_of("ab", "+").spans("ab,-ab-(ab) a+b +") == [(0, 2), (4, 6), (8, 10), (16, 17)]


def test_another_state_has_another_generation() -> None:
    first, second = Registry(), Registry()
    before = first.generation
    first.add(["x"])
    between = first.generation
    first.add(["y"])

    assert len({before, between, first.generation, second.generation}) == 4


def test_a_short_text_that_was_shown_is_masked_from_the_moment_it_is_a_secret() -> None:
    assert redact_text("hunter2") == "hunter2"
    register_secret("hunter2")
    assert redact_text("hunter2") == "***"
    forget_secrets()
    assert redact_text("hunter2") == "hunter2"


def test_secrets_registered_by_many_threads_are_masked_while_others_read() -> None:
    secrets = [f"s3cr3t-{thread}-{n}" for thread in range(4) for n in range(50)]
    leaks: list[str] = []

    def register(mine: list[str]) -> None:
        for secret in mine:
            register_secret(secret)
            longer = f"a longer text, too long to be remembered, with {secret} in the middle of it"
            leaks.extend(text for text in (secret, longer) if secret in redact_text(text))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=register, args=(secrets[n::4],)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert leaks == []
    assert "s3cr3t" not in redact_text(" ".join(secrets))


@pytest.mark.parametrize("shorter", [(), ("short-1",)], ids=["wide steps", "narrow steps"])
@pytest.mark.parametrize("length", [7, 10, 11, 12, 14, 15, 300])
def test_a_form_is_found_in_a_text_of_any_length_however_it_is_stepped_through(
    length: int, shorter: tuple[str, ...]
) -> None:
    form = ("0123456789abcdefghijklmn" * 20)[:length]
    registry = registry_of(form, *shorter)

    for before in [*range(17), 200, 201, 247, 248, 249, 250, 251, 252, 500, 1001]:
        for after in range(9):
            text = "." * before + form + "." * after
            assert registry.spans(text) == [(before, before + length)]


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_MOST_REMEMBERED", 7)
    register_secret("hunter2-prod")
    for number in range(50):
        assert redact_text(f"text {number} hunter2-prod") == f"text {number} ***"

    assert len(redaction._registry.remembered) <= 7
    assert redact_text("x" * 1_000) not in redaction._registry.remembered
