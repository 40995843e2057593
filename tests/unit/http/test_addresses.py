from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import ConfigError
from controlroom.http.addresses import Origin, filled, joined, origin_of, with_query, without_query

SAFE = Origin("https", "api.example.com", 443)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "HTTPS://API.Example.COM/path?q=1#f",
        "https://api.example.com:443/",
        "https://api.example.com./x",
        "https://api.example.com?@evil.example/",
        "https://api.example.com#@evil.example/",
        "https://api.example.com/@evil.example/a b",
    ],
)
def test_the_same_origin_is_recognised_in_all_its_spellings(url: str) -> None:
    assert origin_of(url) == SAFE


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "https://api.example.com:8443",
        "https://api.example.com.evil.example",
        "https://evil.example/api.example.com",
        "//api.example.com",
        "/path",
        "https:///path",
        "https://",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://user:password@api.example.com",
        "https://api.example.com@evil.example",
        "https://evil.example\\@api.example.com",
        "https://api.example.com\\.evil.example",
        "https://api.example.com\t.evil.example",
        "https://api.example.com\r\nHost: evil.example",
        "https://api.example.com :443",
        "https://api.example.com:port",
        "https://api.example.com:99999",
        "https://[::1",
        "https://\u0430pi.example.com",
        "javascript:alert(1)",
        "",
    ],
)
def test_no_other_url_passes_for_it(url: str) -> None:
    with suppress(ValueError):
        assert origin_of(url) != SAFE


@pytest.mark.parametrize("rest", ["/a\\b", "/a\nb", "/a\tb", "/a?b=\r\n", "/\x00", "/\x7f"])
def test_what_parsers_read_differently_is_refused_even_at_home(rest: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        origin_of(f"https://api.example.com{rest}")


@given(st.text("aA./:@\\#?%[]1 é", max_size=30))
def test_what_passes_for_our_origin_is_sent_to_it(rest: str) -> None:
    """The library's own parser must not read another host than we did."""
    url = f"https://api.example.com{rest}"
    try:
        ours = origin_of(url) == SAFE
        theirs = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return
    assert not ours or theirs.host.rstrip(".") == "api.example.com"
    assert not ours or theirs.port in (None, 443)


@pytest.mark.parametrize(
    ("hosts", "among"),
    [
        ({"api.example.com"}, True),
        ({"api.example.com:443"}, True),
        ({"api.example.com:80"}, False),
        ({"example.com"}, False),
        (set(), False),
    ],
)
def test_allowed_hosts_match_whole_names_only(hosts: set[str], among: bool) -> None:
    assert SAFE.is_among(frozenset(hosts)) is among


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://x/v1", "/posts", "https://x/v1/posts"),
        ("https://x/v1/", "posts", "https://x/v1/posts"),
        ("https://x", "", "https://x"),
        ("https://x", "/a?next=https://y", "https://x/a?next=https://y"),
        ("https://x", "https://y/z", "https://y/z"),
        ("https://x", "/web/https://y/z", "https://x/web/https://y/z"),
    ],
)
def test_a_path_goes_below_the_base(base: str, path: str, url: str) -> None:
    assert joined(base, path) == url


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("ada", "/u/ada/p"),
        ("a/b", "/u/a%2Fb/p"),
        ("é ?#", "/u/%C3%A9%20%3F%23/p"),
        (7, "/u/7/p"),
        ("{user}", "/u/%7Buser%7D/p"),
    ],
)
def test_a_path_argument_stays_one_segment(value: Any, path: str) -> None:
    assert filled("/u/{user}/p", {"user": value}) == path


@pytest.mark.parametrize(
    "values", [{}, {"user": "."}, {"user": ".."}, {"user": ""}, {"user": "a", "more": 1}, {"name": "a"}], ids=count()
)
def test_path_arguments_that_lead_elsewhere_are_refused(values: Any) -> None:
    with pytest.raises(ConfigError):
        filled("/u/{user}", values)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": 1, "b": True, "c": None, "d": [1, "x"], "e": 1.5}, "?a=1&b=true&d=1&d=x&e=1.5"),
        ({"cursor": "&=?/ +%é#"}, "?cursor=%26%3D%3F%2F%20%2B%25%C3%A9%23"),
        ({"page[number]": 2}, "?page%5Bnumber%5D=2"),
        ({}, ""),
        ({"gone": None}, ""),
    ],
)
def test_parameters_are_escaped_so_that_none_can_change_another(params: Any, query: str) -> None:
    assert with_query("https://x/y", params) == f"https://x/y{query}"


def test_the_rest_of_a_query_stays_byte_for_byte() -> None:
    url = "https://x/y?sig=a%2Bb%20c&empty=&flag&page=1&q=%zz"

    assert with_query(url, {"page": 2}) == "https://x/y?sig=a%2Bb%20c&empty=&flag&q=%zz&page=2"


def test_a_fragment_is_never_sent() -> None:
    assert with_query("https://x/y?a=1#secret", {}) == "https://x/y?a=1"


@pytest.mark.parametrize("value", [object(), {"a": 1}, b"bytes"], ids=count())
def test_what_has_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="parameter"):
        with_query("https://x", {"a": value})


def test_credentials_are_taken_out_of_links_by_name_and_by_value() -> None:
    url = "https://x/y?a=1&api_key=k&token=s3%2Bcret&b=s3+cret&c=s3cret2"

    assert without_query(url, frozenset({"api_key"}), frozenset({"s3+cret"})) == "https://x/y?a=1&c=s3cret2"
    assert without_query("https://x/y?api_key=k", frozenset({"api_key"}), frozenset()) == "https://x/y"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example/b@c.example/d", "a.example"),
        ("https://a.example?x=/@b.example", "a.example"),
        ("https://a.example#/@b.example", "a.example"),
        ("http://a/b", "a"),
        ("HTTPS://A.example./b", "a.example"),
    ],
)
def test_what_follows_the_host_does_not_change_whose_a_url_is(url: str, host: str) -> None:
    assert origin_of(url).host == host
    assert origin_of(f"{url}/another") == origin_of(url)
