"""What is no document is refused with what it is, and what to do."""

from __future__ import annotations

import json
import sys

import pytest

from controlroom.errors import ConfigError, DataError
from controlroom.generate import generate, parsed
from tests.unit.generate.documents import PET, Schema, document, listed, of, operation

GOOD = document({"/pets": operation(listed(PET))})

REFUSED = {
    "is no OpenAPI document: an object": b"[]",
    "is a Swagger 2.0 document": b'{"swagger": "2.0", "paths": {}}',
    "has no key openapi": b'{"paths": {}}',
    "has openapi '4.0.0'": b'{"openapi": "4.0.0", "paths": {}}',
    "has no paths": b'{"openapi": "3.1.0", "webhooks": {}}',
    "no GET that answers with a list": b'{"openapi": "3.0.1", "paths": {}}',
    r"is not JSON: .* \(line 1, column 2\)": b"{'a': 1}",
    "a number is too long": b'{"a": ' + b"9" * 5000 + b"}",
    "is nested too deeply": b'{"a":' * 100_000,
    "byte 0 is not UTF-8": b"\xff",
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_no_document_is_refused(told: str) -> None:
    with pytest.raises(DataError, match=told):
        generate(parsed(REFUSED[told], "openapi.json"))


def test_swagger_says_what_to_do() -> None:
    with pytest.raises(DataError, match="Convert it first"):
        parsed(b"swagger: '2.0'\n", "openapi.yaml")


def test_yaml_is_read_with_its_own_kinds_as_json_has_them() -> None:
    text = """
openapi: 3.0.0
info: {title: Pet store, version: 1.0}
paths:
  /pets:
    get:
      responses:
        200:
          content:
            application/json:
              schema: {type: array, items: &pet {type: object, properties: {born: {enum: [2013-01-01, &on yes]}}}}
  /dogs:
    get: {responses: {200: {content: {application/json: {schema: {type: array, items: *pet}}}}}}
"""
    found = generate(parsed(text.encode(), "openapi.yaml"))

    assert found.endpoints == 2
    assert 'born: Literal["2013-01-01", True] | None = None' in found.source


def test_yaml_without_pyyaml_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ConfigError, match=r"pip install 'controlroom\[yaml\]'"):
        parsed(b"openapi: 3.1.0", "openapi.yaml")
    assert parsed(json.dumps(GOOD).encode(), "openapi.json") == GOOD


@pytest.mark.parametrize(
    "text", ["a: [", "a: &a [*a]", "? {a: 1}\n: 2", "!!python/object/apply:os.system ['true']", "a: 2013-99-99"]
)
def test_broken_yaml_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        parsed(text.encode(), "openapi.yaml")


def test_a_yaml_bomb_is_refused_before_it_fills_the_memory() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))

    with pytest.raises(DataError, match="aliases"):
        parsed(f"a0: &a0 [1]\n{levels}".encode(), "openapi.yaml")


def test_half_a_character_is_refused_before_a_model_stumbles_over_it() -> None:
    tree = document({"/pets": operation(listed(of(**{"\ud800": PET})))})

    with pytest.raises(DataError, match="half a character"):
        generate(parsed(json.dumps(tree).encode(), "openapi.json"))


@pytest.mark.parametrize("value", [b"x", {1, 2}, object()])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="not what JSON can hold"):
        generate({**GOOD, "x": value})


REFERENCES = {
    "points outside of the document": "other.json#/Pet",
    "is an anchor": "#Pet",
    "points to nothing": "#/components/schemas/Absent",
    "leads back to itself": "#/components/schemas/Loop",
    "is a part of itself": "#/components/schemas/Part",
}


@pytest.mark.parametrize("told", REFERENCES)
def test_references_that_lead_nowhere_are_refused(told: str) -> None:
    components: Schema = {
        "Loop": {"$ref": "#/components/schemas/Loop"},
        "Part": {"allOf": [{"$ref": "#/components/schemas/Part"}, of(id={})]},
    }
    with pytest.raises(DataError, match=told):
        generate(document({"/pets": operation(listed({"$ref": REFERENCES[told]}))}, components))


def test_references_are_pointers() -> None:
    components = {"a/b~c d": PET}
    found = generate(document({"/pets": operation(listed({"$ref": "#/components/schemas/a~1b~0c%20d"}))}, components))

    assert "class ABCD(BaseModel):" in found.source


def test_a_document_of_ten_megabytes_is_read() -> None:
    properties = {f"field_{number}": {"type": "string", "description": "x" * 60} for number in range(200)}
    components = {f"Model{number}": of(**properties) for number in range(480)}
    paths = {f"/m{n}": operation(listed({"$ref": f"#/components/schemas/Model{n}"})) for n in range(480)}
    content = json.dumps(document(paths, components)).encode()

    assert len(content) > 10_000_000
    assert generate(parsed(content, "openapi.json")).models == 480
