"""Whatever a document says: a module comes of it that compiles and holds its text as text, or an error that says why not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controlroom.errors import ConfigError, DataError
from controlroom.generate import generate, parsed
from controlroom.generate.literals import quoted

RUFF = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))

HOSTILE = [
    '"""',
    "'''",
    '"',
    "\\",
    "'\"",
    "\"'; import os #",
    '\\"""\nimport os\nos.system("true")\n"""',
    "line\nimport os",
    "a\rb",
    "\u2028import os",
    "\u202edesrever",
    "\ud800",
    "\x00",
    "\x0c",
    "coding: utf-7",
    "fmt: off",
    "type: ignore",
    "mypy: ignore-errors",
    "class",
    "None",
    "__class__",
    "__init__",
    "_private",
    "model_config",
    "model_validate",
    "schema",
    "get",
    "records",
    "str",
    "dt",
    "date",
    "Any",
    "Endpoint",
    "BaseModel",
    "ApiClient",
    "BASE_URL",
    "self",
    "params",
    "größe",
    "ﬁ",
    "名前",
    "e\u0301" * 70,
    "$ref",
    "a.b",
    "{a}",
    "{a-b}",
    "Field(default=__import__('os').system('true'))",
    "x" * 150,
    "\U0001f9ea" * 61,
]
text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
COMPONENTS = ["A", "B", "a", "Error", "Pet Page", "class", '"""', "Any"]
reference = st.sampled_from(COMPONENTS).map(
    lambda name: {"$ref": "#/components/schemas/" + name.replace("~", "~0").replace("/", "~1")}
)
formats = st.sampled_from(["date", "date-time", "uuid", "uri", "int64", "duration", "time"])
scalars = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "boolean", "null"])}),
    st.fixed_dictionaries({"type": st.just("string"), "format": formats, "description": text}),
    st.fixed_dictionaries({"enum": st.lists(st.one_of(text, st.integers(), st.none(), st.booleans()), max_size=5)}),
    st.fixed_dictionaries({"const": text}),
    st.fixed_dictionaries({"type": st.lists(st.sampled_from(["string", "null", "integer"]), max_size=3)}),
    st.sampled_from([True, False, {}, None, 7, "x", []]),
    reference,
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    objects = st.fixed_dictionaries(
        {"properties": st.dictionaries(text, inner, max_size=4)},
        optional={
            "type": st.just("object"),
            "required": st.lists(text, max_size=3),
            "description": text,
            "additionalProperties": inner,
            "nullable": st.booleans(),
        },
    )
    return st.one_of(
        objects,
        objects,
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
        st.sampled_from(["allOf", "anyOf", "oneOf"]).flatmap(lambda key: st.fixed_dictionaries({key: several})),
    )


schemas = st.recursive(scalars, nested, max_leaves=12)
PAGING = [
    *("next", "next_cursor", "total", "count", "links", "meta", "has_more", "total_pages", "@odata.nextLink", "page"),
    *("cursor", "offset", "limit", "starting_after", "per_page", "$skip", "id"),
]
parameters = st.lists(
    st.fixed_dictionaries(
        {"name": st.one_of(st.sampled_from(PAGING), text), "in": st.sampled_from(["query", "path"])},
        optional={"schema": schemas, "required": st.booleans()},
    ),
    max_size=5,
)
answers = st.one_of(
    st.fixed_dictionaries({"type": st.just("array"), "items": schemas}),
    st.fixed_dictionaries(
        {
            "properties": st.dictionaries(st.one_of(st.sampled_from(PAGING), text), schemas, max_size=5).flatmap(
                lambda more: schemas.map(lambda item: {**more, "items": {"type": "array", "items": item}})
            )
        }
    ),
    schemas,
)
operations = st.builds(
    lambda answer, header, **more: {
        "responses": {"200": {"content": {"application/json": {"schema": answer}}, "headers": header}},
        **more,
    },
    answers,
    st.dictionaries(st.one_of(st.sampled_from(["Link", "X-Next-Token"]), text), st.just({}), max_size=1),
    summary=text,
    description=text,
    operationId=text,
    parameters=parameters,
)
documents = st.builds(
    lambda title, paths, components, url: {
        "openapi": "3.1.0",
        "info": {"title": title, "version": title, "description": title},
        "servers": [{"url": url}],
        "paths": {f"/{path}": {"get": operation} for path, operation in paths.items()},
        "components": {"schemas": components},
    },
    text,
    st.dictionaries(text, operations, min_size=1, max_size=4),
    st.fixed_dictionaries(dict.fromkeys(COMPONENTS, schemas)),
    st.one_of(st.just("https://api.example.com/v1"), text),
)

STATEMENTS = (ast.ImportFrom, ast.Import, ast.Assign, ast.ClassDef, ast.Expr)
CALLED = {
    *("Endpoint", "Field", "ConfigDict", "CursorPagination", "HeaderCursorPagination", "KeysetPagination"),
    *("LinkHeaderPagination", "NextUrlPagination", "OffsetPagination", "PageNumberPagination"),
}
IMPORTED = {"__future__", "typing", "uuid", "pydantic", "controlroom.http"}
EXPECTED = (
    *(ast.Module, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.Constant, ast.Name, ast.Load, ast.Store),
    *(ast.Import, ast.ImportFrom, ast.alias, ast.List, ast.Dict, ast.Tuple, ast.Call, ast.keyword, ast.Subscript),
    *(ast.BinOp, ast.BitOr, ast.Attribute, ast.Pass, ast.UnaryOp, ast.USub),
)


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner)


def generated(document: dict[str, Any]) -> str | None:
    try:
        return generate(document).source
    except (DataError, ConfigError):
        return None


def called(node: ast.Call) -> str:
    function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
    if isinstance(function, ast.Attribute):
        assert function.attr == "model_rebuild"
        assert isinstance(function.value, ast.Name)
        return "Field"
    assert isinstance(function, ast.Name)
    return function.id


def docstrings(tree: ast.Module) -> set[int]:
    owners = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    return {
        id(owner.body[0].value)
        for owner in owners
        if isinstance(owner.body[0], ast.Expr) and isinstance(owner.body[0].value, ast.Constant)
    }


@given(st.text(st.one_of(st.sampled_from("\"'\\\n{}#\x00\u202e"), st.characters()), max_size=20))
def test_a_literal_is_its_text_and_shows_all_of_it(value: str) -> None:
    for source in (quoted(value), quoted(value, ascii_only=True)):
        assert ast.literal_eval(source) == value
        assert source.isprintable()


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents)
def test_the_module_is_declarations_and_nothing_else(document: dict[str, Any]) -> None:
    source = generated(document)
    if source is None:
        return
    tree = ast.parse(source)

    assert [node for node in ast.walk(tree) if not isinstance(node, EXPECTED)] == []
    assert [node for node in tree.body if not isinstance(node, STATEMENTS)] == []
    assert {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)} <= CALLED
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} <= IMPORTED
    assert {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names} <= {"datetime"}
    assert all(
        node.attr == "model_rebuild" or (isinstance(node.value, ast.Name) and node.value.id == "dt")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    )
    assert all(sign.isprintable() or sign == "\n" for sign in source)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents)
def test_every_string_in_it_is_one_of_the_documents(document: dict[str, Any]) -> None:
    source = generated(document)
    if source is None:
        return
    tree = ast.parse(source)
    prose, known = docstrings(tree), {*strings_of(document), "allow"}
    named = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} | {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        pieces = {node.value[:cut] for cut in range(len(node.value)) if node.value[cut] == "."}
        is_path = any(piece in known for piece in pieces) or "{" in node.value
        assert node.value in known or node.value in named or is_path


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents)
def test_it_is_a_module_whose_models_can_be_used(document: dict[str, Any]) -> None:
    source = generated(document)
    if source is None:
        return
    module = types.ModuleType("generated_by_a_law")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, "generated.py", "exec", dont_inherit=True), module.__dict__)
        for name in module.__all__:
            if hasattr(found := getattr(module, name), "model_json_schema"):
                assert found.__pydantic_complete__
    finally:
        del sys.modules[module.__name__]


@settings(max_examples=40)
@given(documents)
def test_the_same_document_gives_the_same_module(document: dict[str, Any]) -> None:
    assert generated(document) == generated(document)


@pytest.mark.skipif(RUFF is None, reason="ruff is not installed here: whether it would change a line was not tested")
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents)
def test_ruff_format_would_change_nothing(document: dict[str, Any]) -> None:
    source = generated(document)
    if source is None:
        return
    command = [str(RUFF), "format", "--isolated", "--line-length", "120", "--no-cache", "-"]
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=60)

    assert done.stdout.decode() == source


@example(b"[" * 100_000)
@example(b'{"openapi": "3.1.0", "paths": ' + b'{"a":' * 100_000)
@example(b"a: &a [*a]\n")
@example(b"openapi: 3.0.0\npaths: &a\n  /x: *a\n")
@example(b"\xff\xfe")
@example(b'{"openapi": "3.1.0", "paths": {}, "x": ' + b"9" * 5_000 + b"}")
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_what_is_no_document_is_refused_in_words(content: bytes) -> None:
    with pytest.raises((DataError, ConfigError)):
        generate(parsed(content, "openapi.json"))
