"""Small documents, and what is generated of them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from controlroom.generate import generate

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
PET: Schema = {"type": "object", "properties": {"id": NUMBER, "name": TEXT}, "required": ["id"]}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def query(name: str, schema: Schema | None = None, **more: Any) -> Schema:
    return {"name": name, "in": "query", "schema": TEXT if schema is None else schema, **more}


def operation(answer: Schema, *parameters: Schema, headers: Schema | None = None, **more: Any) -> Schema:
    good = {"content": {"application/json": {"schema": answer}}, "headers": headers or {}}
    return {"get": {"responses": {"200": good}, "parameters": list(parameters), **more}}


def document(paths: Schema, components: Schema | None = None, **more: Any) -> Schema:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pet store", "version": "1.0"},
        "paths": paths,
        "components": {"schemas": components or {}},
        **more,
    }


def source_for(answer: Schema, *parameters: Schema, path: str = "/pets", **more: Any) -> str:
    return generate(document({path: operation(answer, *parameters, **more)})).source


def module_of(tree: Schema, name: str = "generated_here") -> ModuleType:
    """Execute what is generated of *tree*; pydantic looks for the module among those that were imported."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(generate(tree).source, name, "exec", dont_inherit=True), module.__dict__)
    return module


def module_for(answer: Schema, *parameters: Schema, path: str = "/pets", **more: Any) -> ModuleType:
    components = more.pop("components", None)
    return module_of(document({path: operation(answer, *parameters, **more)}, components))


def rich() -> Schema:
    """A document with most of what a module can have in it."""
    pets = listed({"$ref": "#/components/schemas/Pet"})
    node = of(name=TEXT, parent={"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]}, **{"@id": TEXT})
    pet = of(
        id=NUMBER,
        born={"type": "string", "format": "date", "description": "When, as far as is known. Else 1900."},
        state={"enum": [f"state {number}, of a name that is somewhat long" for number in range(9)]},
        breed={
            "enum": ["one breed of a name that is longer than any line of a module can be, as it goes on and on " * 2]
        },
        owner={"oneOf": [{"$ref": "#/components/schemas/Node"}, TEXT, listed(NUMBER)]},
        tags={"type": "object", "additionalProperties": listed({"$ref": "#/components/schemas/Node"})},
        **{
            "a name that is too long for one line of any module, and so has to stand below its field: " + "x" * 60: TEXT
        },
    )
    offset = [query("offset", NUMBER), query("limit", {**NUMBER, "maximum": 200})]
    paths = {
        "/pets": operation(of(items=pets, total=NUMBER), *offset, summary="All pets"),
        "/by-cursor": operation(of(data=pets, meta=of(next_cursor=TEXT)), query("cursor")),
        "/names/{pet-id}": operation(listed(TEXT)),
        "/facts": operation(listed({"type": "object"})),
        "/choices": operation(listed({"oneOf": [{"$ref": "#/components/schemas/Pet"}, TEXT]})),
    }
    info = {"title": 'Pets "R" \\us', "version": "1.0", "description": 'Ends with a "quote"'}
    servers = [{"url": "https://{region}.example.com/v1", "variables": {"region": {"default": "eu"}}}]
    return document(
        paths, {"Pet": {**pet, "description": "A \\pet\n\nof mine"}, "Node": node}, info=info, servers=servers
    )
