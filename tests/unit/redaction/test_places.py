from __future__ import annotations

import pytest

from controlroom.redaction import redact_text

MASKED = [
    # URLs
    ("postgresql://ada:lovelace@db/x", "postgresql://ada:***@db/x"),
    ("postgresql+psycopg://ada:lovelace@db:5432/x", "postgresql+psycopg://ada:***@db:5432/x"),
    ("redis://:lovelace@db", "redis://:***@db"),
    ("https://a:p%40ss%3Aw@h/p", "https://a:***@h/p"),
    ("postgresql://u:p@ss:w@rd@db/x", "postgresql://u:***@db/x"),
    ("postgresql://u:pa/ss@db/x", "postgresql://u:***@db/x"),
    ("postgresql://u:pa?s#s@db/x", "postgresql://u:***@db/x"),
    ("postgresql://u:8080@db/x", "postgresql://u:***@db/x"),
    ("postgresql://u:123456/x@db/x", "postgresql://u:***@db/x"),
    ("postgresql://u:p@[::1]:5432/x", "postgresql://u:***@[::1]:5432/x"),
    ('{"url": "postgresql:\\/\\/u:p@db\\/x"}', '{"url": "postgresql:\\/\\/u:***@db\\/x"}'),
    ("from a://u:p@h to b://v:q@i.", "from a://u:***@h to b://v:***@i."),
    ("a://u:x,b://v:p@h", "a://u:x,b://v:***@h"),
    ("ada@x a://u:pa/ss@db", "ada@x a://u:***@db"),
    ("a://u:pa/ss@db/x@y", "a://u:***@db/x@y"),
    # query strings
    ("https://h/?page=2&api_key=abc&sig=def#top", "https://h/?page=2&api_key=***&sig=***"),
    (
        "https://b.s3/k?X-Amz-Credential=AKIA%2F20260105&X-Amz-Signature=ab12&X-Amz-Security-Token=FwoG%2B&X-Amz-Date=2026",
        "https://b.s3/k?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Security-Token=***&X-Amz-Date=2026",
    ),
    ("https://h/?next=https%3A%2F%2Fx%3Ftoken%3Dabc", "https://h/?next=https%3A%2F%2Fx%3Ftoken%3D***"),
    ("https://h/?token_url=https://x/?client_secret=abc", "https://h/?token_url=https://x/?client_secret=***"),
    # key-value text
    ("host=db password=lovelace user=ada", "host=db password=*** user=ada"),
    ("host=db password='love lace' user=ada", "host=db password='***' user=ada"),
    ("host=db password = lovelace user=ada", "host=db password = *** user=ada"),
    ("Server=db;Password=love{lace;User=ada", "Server=db;Password=***;User=ada"),
    ("AccountName=a;AccountKey=abc==;EndpointSuffix=x", "AccountName=a;AccountKey=***;EndpointSuffix=x"),
    ("Settings(password='lovelace', token=12345, size=3)", "Settings(password='***', token=***, size=3)"),
    ("{:api_key=>'abc'}", "{:api_key=>'***'}"),
    ("with auth_jwt=abc", "with auth_jwt=***"),
    ("bearer=abc", "bearer=***"),
    ("{'X-Amz-Security-Token': b'abc', 'Accept': b'*/*'}", "{'X-Amz-Security-Token': b'***', 'Accept': b'*/*'}"),
    ("password=b\"a'b\" token=Rb'abc' pwd=b", "password=b\"***\" token=Rb'***' pwd=***"),
    ("password=a,b", "password=***,b"),
    ("token=token=abc", "token=***"),
    ("next_token=5 token=abc", "next_token=5 token=***"),
    # JSON, and JSON inside JSON
    ('{"password": "lovelace", "n": 1}', '{"password": "***", "n": 1}'),
    ('{"password":"love\\"lace","n":1}', '{"password":"***","n":1}'),
    ('{"password":"lovelace\\\\","n":1}', '{"password":"***","n":1}'),
    ("{'password': 'love\\'lace', 'n': 1}", "{'password': '***', 'n': 1}"),
    ('{"body": "{\\"token\\": \\"abc\\", \\"n\\": 1}"}', '{"body": "{\\"token\\": \\"***\\", \\"n\\": 1}"}'),
    ('{"body": "{\\"token\\": \\"a\\\\\\"c\\"}"}', '{"body": "{\\"token\\": \\"***\\"}"}'),
    ("{\\'token\\': \\'abc\\', 1}", "{\\'token\\': \\'***\\', 1}"),
    ('{\\\\\\"token\\\\\\": \\\\\\"abc\\\\\\", 1}', '{\\\\\\"token\\\\\\": \\\\\\"***\\\\\\", 1}'),
    ('{\\"token\\": \\"ab\\\\n\\", 1}', '{\\"token\\": \\"***\\", 1}'),
    ('{\\"token\\": \\"a\\\\\\"b\\", \\"n\\": \\"1\\"}', '{\\"token\\": \\"***\\", \\"n\\": \\"1\\"}'),
    ('{\\"token\\": \\"cut', '{\\"token\\": \\"***'),
    ('{\\"token\\": \\"cut\\n', '{\\"token\\": \\"***'),
    ("{token: 5}", "{token: ***}"),
    ('{"api_key": "two\nlines"}', '{"api_key": "***"}'),
    ('{"token": "cut off', '{"token": "***'),
    # headers
    ("Authorization: Bearer abc", "Authorization: ***"),
    ("Authorization: Digest username=x, response=y\r\nHost: h", "Authorization: ***\r\nHost: h"),
    ("proxy-authorization: Basic QTpC", "proxy-authorization: ***"),
    ("Cookie: sid=abc; csrf=def", "Cookie: ***"),
    ("Set-Cookie: sid=abc; HttpOnly\\r\\nHost: h", "Set-Cookie: ***\\r\\nHost: h"),
    ("{'Authorization': 'Bearer abc', 'Accept': '*'}", "{'Authorization': '***', 'Accept': '*'}"),
    ("authorization=abc other=1", "authorization=*** other=1"),
    ("X-Api-Key: abc", "X-Api-Key: ***"),
    # a scheme alone
    ("sent Bearer abc123 to h", "sent Bearer *** to h"),
    ("sent bearer\teyJhbGciOi.J9.x-_y to h", "sent bearer\t*** to h"),
    ("sent 'Basic dXNlcjpwYXNz'", "sent 'Basic ***'"),
    ("sent Basic dXNlcjE=", "sent Basic ***"),
    ('sent "Basic dXNlcjE="', 'sent "Basic ***"'),
    ("Token abc.def-ghi.", "Token ***"),
    ("Bearer abcdefghijklmnopqrst", "Bearer ***"),
    ("Bearer HUNTER", "Bearer ***"),
    # names that begin far before, or after a harmless value
    ("x" * 70 + "_password=abc", "x" * 70 + "_password=***"),
    ("dsn=password=abc", "dsn=password=***"),
    ("page_token='password=abc'", "page_token='password=***'"),
]

READABLE = [
    "https://h:8080/users/@ada",
    "https://h:8080?to=a@b",
    "https://h:8080#a@b",
    "https:\\/\\/h:8080\\/@ada",
    "https://h:8080/",
    "http://[::1]:8080/x@y",
    "redis://u:@h",
    '{"token": "", "n": 1}',
    '{\\"token\\": \\"\\", 1}',
    "git@github.com:ada/x.git",
    "mailto ada@example.com: see https://h",
    "ssh://git@h/x",
    "at 10:00 ada:x@y",
    "https://h/?page_token=abc&cursor=def&next_token=7&tokens_used=12",
    "token_count=7 secret_name=prod/db author=ada monkey=1 keyboard=us",
    "token=null token=None secret=false password=TRUE",
    "Settings(api_token=SecretStr('**********'), password=SecretBytes(b'***'), secret=SecretStr(''))",
    '{"token": null, "secret": true, "password": 12345, "api_key": -1.5e3}',
    "{'token': None, 'x': 1}",
    "f(password=None)",
    "Token expired yesterday",
    "the token has expired",
    "basic authentication failed; Bearer authentication is required.",
    'WWW-Authenticate: Bearer realm="api", error="x"',
    'Bearer error_description="abc1"',
    "Basic abc",
    "Bearer a1b2c",
    "no secrets here",
    "password",
    "password=",
    "password: ",
    "password=&x=1",
    "token_type: bearer",
    "sigma=0.5 design: good assign=1",
    "",
    "=:@",
]


@pytest.mark.parametrize(("text", "shown"), MASKED, ids=[str(n) for n, _ in enumerate(MASKED)])
def test_what_stands_in_the_place_of_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact_text(text) == shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize("text", READABLE, ids=[str(n) for n, _ in enumerate(READABLE)])
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("before", ["", "\u0130\u0130\u0130 ", "\u1e9e\ufb03 ", "x" * 300 + " "])
@pytest.mark.parametrize(
    "name",
    [
        *["pw", "pwd", "sig", "PassWord", "api_key", "x-Auth-TOKEN", "client_secret", "CREDENTIAL", "cookie_signature"],
        *["key_passphrase", "key_token", "private_key", "Authorization-Signature"],
    ],
)
@pytest.mark.parametrize("sign", ["=", ": ", "%3D", " => "])
def test_a_name_is_found_wherever_it_stands(before: str, name: str, sign: str) -> None:
    assert redact_text(f"{before}{name}{sign}Hunter-22") == f"{before}{name}{sign}***"
