"""What was logged is text on the page, whatever it says; and the page says everything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlroom.explain.html import render_html
from controlroom.explain.html.markup import element

VOID = {"meta", "input", "link", "col"}
Skeleton = list[tuple[str, tuple[tuple[str, str | None], ...]]]


class Page(HTMLParser):
    """A page as a browser's parser sees it: elements, their attributes, and texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.skeleton: Skeleton = []
        self.texts: list[str] = []
        self.raw = {"style": "", "script": ""}
        self.deepest = 0
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []  # every element ends where it should

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skeleton.append((tag, tuple(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.deepest = max(self.deepest, len(self._open))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skeleton.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]] += data
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.skeleton.append(("!--", (("data", data),)))

    def handle_pi(self, data: str) -> None:
        self.skeleton.append(("?", (("data", data),)))

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def attributes(self, name: str) -> Iterator[str]:
        for _, attributes in self.skeleton:
            yield from (value or "" for key, value in attributes if key == name)

    def bars(self) -> list[dict[str, str | None]]:
        shapes = (dict(attributes) for tag, attributes in self.skeleton if tag == "rect")
        return [shape for shape in shapes if "bar" in (shape.get("class") or "") and str(shape.get("x")).endswith("%")]


def at(seconds: float) -> str:
    return f"2026-11-22T02:{int(seconds) // 60:02}:{seconds % 60:06.3f}000Z"


def node(id_: int, parent: int | None, **changes: Any) -> dict[str, Any]:
    given = {"id": id_, "parent": parent, "kind": "file", "title": f"file-{id_}.csv", "began_at": at(id_)}
    return given | {"elapsed_s": 1.0, "outcome": "ok", "facts": {}, "events": {}, "untold": {}} | changes


def run(*nodes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    root = node(1, None, kind="run", title="nightly", began_at=at(0), elapsed_s=100.0)
    told = {"id": "r-1", "job": "nightly", "host": "cron", "began_at": at(0), "ended_at": at(100), "elapsed_s": 100.0}
    told |= {"outcome": "succeeded", "exit_code": 0, "reason": "", "who_acts": "nobody", "progress": None}
    told |= {"host_facts": {}, "settings": None, "times": [], "effects": {}, "failing_path": []}
    return told | {"nodes": [root, *nodes], "untold": {}, "failures": [], **changes}


def document(*runs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    log = {"events": 10, "foreign_lines": 0, "truncated_lines": 0, "bytes": 2048}
    return {"version": 1, "log": log, "runs": list(runs), "untold_runs": 0} | changes


def page_of(*runs: dict[str, Any], **changes: Any) -> Page:
    return Page(render_html(document(*runs, **changes)))


def raised(say: Callable[[], str]) -> dict[str, Any]:
    frames = [{"file": say(), "line": 7, "function": say(), "source": say()}, {"omitted": 3}]
    return {"type": say(), "message": say(), "notes": [say()], "details": {say() + "a": say()}, "frames": frames}


def everywhere(say: Callable[[], str]) -> dict[str, Any]:
    """A story with the texts of *say* wherever a log's texts can come to stand."""
    exception = raised(say) | {"causes": [raised(say)], "members": [raised(say) | {"causes": [raised(say)]}]}
    attempts = [{"number": 1, "error": say(), "wait_s": 2.0, "reason": say()}, {"number": 2, "error": say()}]
    failure = {"at": at(9), "event": say(), "subject": say(), "code": say(), "disposition": say(), "error": say()}
    failure |= {"who_acts": say(), "called_from": say(), "node": 3, "exception": exception, "attempts": attempts}
    setting = {"name": say(), "value": say(), "source": say(), "key": say(), "shadowed": [say()]}
    told = run(
        node(2, 1, kind=say(), title=say(), facts={say() + "b": say(), "nested": {say(): [say()]}}),
        node(3, 2, outcome="failed", title=say(), events={say(): 2}, untold={say(): 4}, facts={"attempts": attempts}),
        node(4, 3, kind="retry", title=say(), outcome="retried", facts={"wait_s": 2.0, "reason": say()}),
        failures=[failure],
        failing_path=[1, 2, 3],
        settings=[setting],
        times=[{"name": say(), "seconds": 3.0, "share": 0.03}],
        effects={say() + "c": 5, "requests": {say(): 6}},
        host_facts={say() + "d": say()},
        untold={say(): 7},
        **{name: say() for name in ("id", "job", "host", "reason", "who_acts")},
    )
    return document(told, told | {"outcome": "failed"})


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=//canary.invalid/x onerror=alert(1)>',
    "'onmouseover='alert(1)",
    "</style><style>*{background:url(//canary.invalid)}",
    "</title></textarea></noscript><base href=//canary.invalid>",
    "--><!-- <![CDATA[ ]]> <? <%",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#x3c;script&#x3e; &NewLine;",
    "\x00\x08\x1b[31m\x7f\x85\u202e\u2066\u200b\ufeff\U000e0041",
    "\ud800<b>\udfff",
    "{{7*7}}${7*7}%s{0}",
)
HARMLESS = Page(render_html(everywhere(lambda: "x"))).skeleton
hostile = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), min_size=1, max_size=12)
pieces = st.lists(hostile, min_size=1, max_size=3).map("".join)
MEANT = re.compile(
    "wait|retry|skip|quarantine|reconcile|nobody", re.IGNORECASE
)  # words that choose among our own classes


@settings(max_examples=min(settings().max_examples, 1_000) * 3 // 5)
@given(st.data())
def test_no_element_and_no_attribute_stems_from_what_was_logged(data: st.DataObject) -> None:
    texts = data.draw(st.lists(pieces.filter(lambda text: not MEANT.search(text)), min_size=1, max_size=8))
    turn = iter(range(10_000))
    page = render_html(everywhere(lambda: texts[next(turn) % len(texts)]))

    assert Page(page).skeleton == HARMLESS
    page.encode()  # no lone surrogate is left
    assert all(one.isprintable() or one == "\n" for one in page.replace("\t", ""))


@pytest.mark.parametrize("said", ["retry", "skip", "quarantine", "reconcile", "nobody", "waiting", "failing open"])
def test_a_word_of_ours_in_a_log_chooses_at_most_among_classes_of_ours(said: str) -> None:
    page, known = Page(render_html(everywhere(lambda: said))), Page(render_html(everywhere(lambda: "x")))

    assert [tag for tag, _ in page.skeleton if tag != "rect"] == [tag for tag, _ in known.skeleton if tag != "rect"]
    ours = set(re.findall(r"\.(\w+)", page.raw["style"])) | set(" ".join(known.attributes("class")).split())
    assert set(" ".join(page.attributes("class")).split()) <= ours


@pytest.mark.parametrize("said", HOSTILE)
def test_what_was_logged_can_be_read_as_it_was_logged(said: str) -> None:
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in said)

    page = page_of(run(node(2, 1, title=said, outcome="failed")), run())
    assert shown in page.texts


def test_text_is_escaped_wherever_markup_is_put_together() -> None:
    inner = element("b", "<i>", title="\"><i>'")

    assert inner == '<b title="&quot;&gt;&lt;i&gt;&#x27;">&lt;i&gt;</b>'
    assert element("p", inner) == f"<p>{inner}</p>"
    assert "<b" not in element("p", f"{inner}") + element("p", inner + inner) + element(
        "p", inner[:3]
    )  # no longer ours


def test_marks_that_turn_the_direction_of_reading_are_spelled_out() -> None:
    assert r"invoice\u202excod.exe" in page_of(run(node(2, 1, title="invoice\u202excod.exe"))).texts


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | pieces | st.just(at(3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=min(settings().max_examples, 1_000))
@given(st.data())
def test_a_document_of_another_shape_is_shown_as_far_as_it_can_be(data: st.DataObject) -> None:
    whole = everywhere(lambda: "x")
    place: Any = whole
    for _ in range(data.draw(st.integers(0, 5))):
        inner = [value for value in (place.values() if isinstance(place, dict) else place) if value and value != "x"]
        containers = [value for value in inner if isinstance(value, dict | list)]
        place = data.draw(st.sampled_from(containers)) if containers else place
    key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
    place[key] = data.draw(ANY)

    Page(render_html(whole))


def test_only_ids_and_links_made_here_are_on_the_page() -> None:
    page = Page(render_html(everywhere(lambda: "javascript:x#r9")))

    links = list(page.attributes("href"))
    assert links
    assert all(re.fullmatch(r"#r\d+([nf]\d+)?", link) for link in links)
    ids = list(page.attributes("id"))
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    page = page_of(run())
    (policy,) = (value for value in page.attributes("content") if "default-src" in value)
    hashes = {
        name: "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        for name, source in page.raw.items()
    }

    assert policy == (
        f"default-src 'none'; style-src '{hashes['style']}'; script-src '{hashes['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not {"style", "src", "srcset", "action", "onclick", "onload"} & {
        key for _, attributes in page.skeleton for key, _ in attributes
    }
    assert re.findall(r"url\((?!#)|@import|https?:", render_html(document(run()))) == []


def test_who_must_act_is_said_before_anything_else_about_a_run() -> None:
    text = page_of(run(node(2, 1, outcome="failed"), outcome="failed", who_acts="you: look at it")).text

    assert (
        text.index("Who must act")
        < text.index("you: look at it")
        < text.index("exit code")
        < text.index("What happened")
    )


def test_a_bar_lies_where_its_node_lay_in_time() -> None:
    page = page_of(run(node(2, 1, began_at=at(10), elapsed_s=25.0)))

    assert [(bar["x"], bar["width"]) for bar in page.bars()] == [("0.00%", "100.00%"), ("10.00%", "25.00%")]


def test_the_wait_before_a_retry_is_hatched_in_its_own_row_and_in_those_above() -> None:
    retry = node(3, 2, kind="retry", outcome="retried", began_at=at(20), elapsed_s=None, facts={"wait_s": 8.0})
    page = page_of(run(node(2, 1, began_at=at(10), elapsed_s=25.0), retry))

    waits = [(bar["x"], bar["width"]) for bar in page.bars() if bar["class"] == "bar wait"]
    assert waits == [("20.00%", "8.00%")] * 3


def test_a_node_without_an_end_reaches_to_the_end_of_the_run() -> None:
    page = page_of(run(node(2, 1, began_at=at(90), elapsed_s=None, outcome="unfinished"), outcome=""))

    assert ("bar unfinished", "90.00%", "10.00%") in [(bar["class"], bar["x"], bar["width"]) for bar in page.bars()]
    assert "no end was logged" in page.text


@pytest.mark.parametrize(("began_s", "elapsed_s"), [(0, 0.0), (100, 0.0), (50, 1e-9), (3_000, 5.0), (0, 1e15)])
def test_no_bar_is_too_short_to_be_seen_or_lies_outside(began_s: float, elapsed_s: float) -> None:
    for bar in page_of(run(node(2, 1, began_at=at(began_s), elapsed_s=elapsed_s))).bars():
        left, width = (float(str(bar[name]).rstrip("%")) for name in ("x", "width"))
        assert width >= 0.3
        assert left + width <= 100.01


def test_a_clock_that_went_back_moves_no_bar_off_the_page() -> None:
    page = page_of(run(node(2, 1, began_at="2026-11-21T23:00:00Z")))

    assert [bar["x"] for bar in page.bars()] == ["0.00%", "0.00%"]


def test_the_failing_path_is_open_and_marked_and_the_rest_of_a_long_run_is_closed() -> None:
    files = [node(place, 1) for place in range(2, 60)]
    page = page_of(run(*files, node(60, 59, outcome="failed"), failing_path=[1, 59, 60], outcome="failed"))

    details = {dict(attributes).get("id"): dict(attributes) for tag, attributes in page.skeleton if tag == "details"}
    is_open = {id_ for id_, attributes in details.items() if "open" in attributes}
    assert is_open == {"r1n0", "r1n58", "r1n59", None} - {None}
    assert sum(classes.split()[-1:] == ["failing"] for classes in page.attributes("class")) == 3


def test_what_went_well_is_folded_and_what_did_not_stays_in_sight() -> None:
    files = [node(place, 1, outcome="failed" if place == 500 else "ok") for place in range(2, 1_002)]
    text = page_of(run(*files)).text

    assert "960 more, all ok or skipped" not in text  # 40 of the 999 that went well are in sight
    assert text.index("file-500.csv") < text.index("959 more, all ok or skipped") < text.index("file-501.csv")
    assert all(f"file-{place}.csv" in text for place in range(2, 1_002))


def test_a_warning_in_what_went_well_stays_in_sight() -> None:
    files = [node(place, 1) for place in range(2, 1_002)]
    warning = node(1_002, 500, kind="other", title="disk_nearly_full", troubled=True)
    text = page_of(run(*files, warning)).text

    assert text.index("disk_nearly_full") < text.index("959 more, all ok or skipped") < text.index("file-501.csv")


@pytest.mark.parametrize(
    "parents",
    [
        pytest.param({2: 3, 3: 2}, id="circle"),
        pytest.param({2: 2}, id="its own parent"),
        pytest.param({2: 77}, id="parent that is not there"),
        pytest.param({place: place + 1 for place in range(2, 50)} | {50: 1}, id="parents behind their children"),
        pytest.param({place: place - 1 for place in range(2, 1_500)}, id="without end"),
    ],
)
def test_every_node_is_drawn_once_however_the_parents_lie(parents: dict[int, int]) -> None:
    page = page_of(run(*(node(place, parent) for place, parent in parents.items())))

    assert [page.texts.count(f"file-{place}.csv") for place in parents] == [1] * len(parents)


def test_nodes_are_not_nested_deeper_than_a_browser_nests() -> None:
    page = page_of(run(*(node(place, place - 1) for place in range(2, 1_000))))

    assert page.deepest < 100  # Chromium flattens what lies deeper than 512
    assert {name for name in " ".join(page.attributes("class")).split() if re.fullmatch(r"d\d+", name)} == {
        f"d{depth}" for depth in range(13)
    }


def test_two_nodes_of_one_id_are_both_drawn() -> None:
    page = page_of(run(node(2, 1, title="one.csv"), node(2, 1, title="two.csv"), node(3, 2, title="inside.csv")))

    assert {"one.csv", "two.csv", "inside.csv"} <= set(page.texts)


def test_an_exception_is_told_with_its_causes_members_notes_frames_and_attempts() -> None:
    page = Page(render_html(everywhere(iter(f"said-{number}." for number in range(10_000)).__next__)))

    said = {int(number) for number in re.findall(r"said-(\d+)\.", page.text)}
    assert said == set(range(max(said) + 1))  # nothing that was given is missing
    assert "3 frames were left out in the log" in page.text
    assert "waited 2.0 s" in page.text


def test_several_runs_begin_with_an_index() -> None:
    page = page_of(run(id="a"), run(id="b", outcome="failed", who_acts="you: look"), run(id="c", outcome=""))

    assert ("nav", (("aria-label", "Runs"),)) in page.skeleton
    assert [link for link in page.attributes("href") if re.fullmatch(r"#r\d", link)] == ["#r1", "#r2", "#r3"]
    assert "nav" not in [tag for tag, _ in page_of(run()).skeleton]


@pytest.mark.parametrize("runs", [[], None, "x"])
def test_a_story_without_runs_is_a_page_that_says_so(runs: Any) -> None:
    assert "The story of 0 runs" in Page(render_html({"runs": runs})).texts


def test_of_too_many_runs_those_that_went_wrong_are_kept_and_the_others_counted() -> None:
    page = page_of(
        *(run(id=f"run-{place}.", outcome="failed" if place == 399 else "succeeded") for place in range(400))
    )

    assert "run-399." in page.text
    assert "Left out here: 100 runs; ask for one by its id." in page.texts
    assert "Left out here: 102 runs" in page_of(*[run()] * 400, untold_runs=2).text


def test_skipped_lines_and_untold_nodes_are_counted() -> None:
    text = page_of(
        run(untold={"page": 12_000}),
        log={"events": 1_234, "foreign_lines": 3, "truncated_lines": 1, "bytes": 5 * 2**20},
    ).text

    assert "Told from 1,234 events in 5.0 MiB. Skipped lines: 3 of other programs, 1 cut short." in text
    assert "page 12,000" in text


def test_a_long_text_is_cut_and_its_length_is_said() -> None:
    told = run(node(2, 1, title="<" * 10**6, facts={"body": "&" * 10**6}), outcome="failed", reason="'" * 10**6)
    page = render_html(document(told))

    assert len(page) < 100_000
    assert Page(page).text.count("(cut: 1,000,000 characters)") == 3


def test_a_page_of_ten_thousand_rows_stays_below_ten_million_bytes_and_shows_every_failure() -> None:
    facts = {f"fact_{place}": "<&'\">" * 30 for place in range(6)}
    outcomes = {7: "failed", 9_998: "quarantined"}
    nodes = [node(place, 1, facts=facts, outcome=outcomes.get(place, "ok")) for place in range(2, 10_000)]
    page = render_html(document(run(*nodes)))
    text = Page(page).text

    assert 5_000_000 < len(page.encode()) < 10_000_000
    assert {"file-7.csv", "file-9998.csv"} <= set(text.splitlines())
    drawn = len(re.findall(r"^file-\d+\.csv$", text, re.MULTILINE))
    (cut,) = re.findall(r"too long: ([\d,]+) rows", text)
    assert drawn + int(cut.replace(",", "")) == 9_998


def test_whatever_is_long_the_page_is_not() -> None:
    long = "\U000e0041" * 5_000
    names = ("id", "job", "host", "reason", "who_acts", "outcome")
    told = run(**dict.fromkeys(names, long), untold={long: 1}, failures=[{"error": long}], host_facts={long: long})
    page = render_html(document(*[told] * 300))

    assert 5_000_000 < len(page.encode()) < 10_000_000
    assert page.count("A part is left out here: the page would become too long.") >= 300
    assert page.count("1 more failure, left out here") == 300


def test_failures_that_do_not_fit_are_counted() -> None:
    failure = {"error": "x" * 4_000, "event": "gave_up", "exception": {"type": "T", "message": "m" * 4_000}}
    told = run(outcome="failed", failures=[failure] * 250)

    assert "… and 50 more failures, left out here." in page_of(told).texts


def test_the_page_names_its_language_and_title_and_its_headings_leave_out_no_level() -> None:
    page = Page(render_html(everywhere(lambda: "nightly")))
    levels = [int(tag[1]) for tag, _ in page.skeleton if re.fullmatch(r"h\d", tag)]

    assert ("html", (("lang", "en"),)) in page.skeleton
    assert {"header", "main", "footer", "nav"} <= {tag for tag, _ in page.skeleton}
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_colour_is_never_the_only_sign() -> None:
    outcomes = ("failed", "quarantined", "released", "rolled_back", "in_doubt", "unfinished", "skipped", "retried")
    text = page_of(run(*(node(place, 1, outcome=outcome) for place, outcome in enumerate(outcomes, 2)))).text

    for outcome in outcomes:
        assert text.count(f" {outcome.replace('_', ' ')}\n") >= 1
