"""What a record is: models, aliases and the types between."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from controlroom.generate.names import BUILT_IN, OF_A_MODEL
from tests.unit.generate.documents import NUMBER, PET, TEXT, Schema, listed, module_for, of


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def model(item: Schema, **components: Schema) -> Any:
    return module_for(listed(item), components=components).PetStore.pets.model


def annotations(schema: Schema, **components: Schema) -> str:
    """The annotation of a property that is required, as Python writes it."""
    found: str = model(of(it=schema), **components).__annotations__["it"]
    return found


CASES: dict[str, tuple[Schema, str]] = {
    "text": (TEXT, "str"),
    "number": ({"type": "number"}, "float"),
    "bool": ({"type": "boolean"}, "bool"),
    "moment": ({"type": "string", "format": "date-time"}, "dt.datetime"),
    "day": ({"type": "string", "format": "date"}, "dt.date"),
    "uuid": ({"type": "string", "format": "uuid"}, "UUID"),
    "unknown format": ({"type": "string", "format": "password"}, "str"),
    "3.0 null": ({"type": "string", "nullable": True}, "str | None"),
    "3.1 null": ({"type": ["string", "null"]}, "str | None"),
    "anyOf null": ({"anyOf": [NUMBER, {"type": "null"}]}, "int | None"),
    "choice": ({"oneOf": [NUMBER, TEXT]}, "int | str"),
    "several types": ({"type": ["integer", "string", "null"]}, "int | str | None"),
    "enum": ({"enum": ["a", 'b"', 3, None]}, "Literal['a', 'b\"', 3] | None"),
    "const": ({"const": "cat"}, "Literal['cat']"),
    "enum of fractions": ({"type": "number", "enum": [0.5, 1.5]}, "float"),
    "free-form": ({"type": "object"}, "dict[str, Any]"),
    "map": ({"type": "object", "additionalProperties": NUMBER}, "dict[str, int]"),
    "open map": ({"type": "object", "additionalProperties": True}, "dict[str, Any]"),
    "list of lists": (listed(listed(NUMBER)), "list[list[int]]"),
    "list of anything": ({"type": "array"}, "list[Any]"),
    "anything": ({}, "Any"),
    "anything, 3.1": (True, "Any"),  # type: ignore[dict-item]  # 3.1 has schemas that are true
    "one of all": ({"allOf": [TEXT], "description": "x"}, "str"),
    "the same twice": ({"anyOf": [TEXT, TEXT]}, "str"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_schema_is_a_type(case: str) -> None:
    schema, expected = CASES[case]

    assert annotations(schema) == expected


def test_a_record_is_validated_and_converted() -> None:
    moment: Schema = {"type": "string", "format": "date-time"}
    pet = model(of(id=NUMBER, born_at=moment, key={"type": "string", "format": "uuid"}))
    key = uuid.UUID(int=7)
    found = pet.model_validate({"id": 1, "born_at": "2013-01-01T00:00:00Z", "key": str(key), "more": 1})

    assert (found.born_at, found.key) == (dt.datetime(2013, 1, 1, tzinfo=dt.UTC), key)
    with pytest.raises(ValidationError):
        pet.model_validate({"id": "one", "born_at": "2013-01-01T00:00:00Z", "key": str(key)})


def test_what_is_not_required_may_be_absent_and_null() -> None:
    pet = model({"properties": {"id": NUMBER, "name": TEXT}, "required": ["id"]})

    assert pet.model_validate({"id": 1}).name is None
    assert pet.model_validate({"id": 1, "name": None}).name is None


NAMES = [
    "class",
    "tail-number",
    "@id",
    "",
    "schema",
    "model_config",
    "dict",
    "date",
    "dt",
    "Any",
    "1st",
    "_x",
    "__init__",
]


def test_names_that_are_none_in_python_keep_their_json_name_as_an_alias() -> None:
    pet = model(
        of(**dict.fromkeys([*NAMES, "größe", "grosse", "Toy", "copy"], NUMBER), kind=ref("Toy")), Toy=of(id=NUMBER)
    )
    values = {name: number for number, name in enumerate([*NAMES, "größe", "grosse", "Toy", "copy"])}
    found = pet.model_validate({**values, "kind": {"id": 1}})

    assert found.model_dump(by_alias=True) == {**values, "kind": {"id": 1}}
    assert (found.class_, found.tail_number, found.schema_) == (0, 1, 4)


def test_no_field_hides_the_type_that_another_one_needs() -> None:
    fields = {"Toy": ref("Toy"), "str": TEXT, "dt": {"type": "string", "format": "date"}, "int": NUMBER}
    pet = model({"type": "object", "properties": fields}, Toy=of(id=NUMBER))
    value = {"Toy": {"id": 1}, "str": "a", "dt": "2013-01-01", "int": 7}

    assert pet.model_validate(value).model_dump(mode="json", by_alias=True) == value


def test_no_field_hides_what_pydantics_models_have() -> None:
    own = {name for name in dir(BaseModel) if not name.startswith("_")}

    assert own <= OF_A_MODEL
    assert {"str", "int", "dict", "list", "float", "bool", "dt"} <= BUILT_IN


def test_models_may_contain_themselves_and_each_other() -> None:
    tree = of(children=listed(ref("Node")), other=ref("Other"))
    other = {"properties": {"node": {"anyOf": [ref("Node"), {"type": "null"}]}, "more": ref("Nodes")}}
    node = model(ref("Node"), Node=tree, Other=other, Nodes=listed({"oneOf": [ref("Node"), TEXT]}))
    leaf = {"children": [], "other": {}}
    found = node.model_validate({"children": [leaf], "other": {"node": leaf, "more": [leaf, "x"]}})

    assert type(found.other.node) is node
    assert type(found.other.more[0]) is node


def test_a_list_that_contains_itself_ends_in_anything() -> None:
    pet = model(of(it=ref("Nest")), Nest=listed(ref("Nest")))

    assert pet.model_validate({"it": [[["x"]]]}).it == [[["x"]]]


def test_all_of_several_is_one_model() -> None:
    both = {"allOf": [ref("Base"), of(name=TEXT), {"required": ["tag"]}], "properties": {"tag": TEXT}}
    pet = model(ref("Both"), Base=of(id=NUMBER), Both=both)

    assert set(pet.model_fields) == {"id", "name", "tag"}
    assert all(field.is_required() for field in pet.model_fields.values())


def test_one_of_two_objects_is_told_by_their_constants() -> None:
    cat, dog = of(kind={"const": "cat"}, lives=NUMBER), of(kind={"const": "dog"}, legs=NUMBER)
    found = model(of(pet={"oneOf": [ref("Cat"), ref("Dog")]}), Cat=cat, Dog=dog)

    assert type(found.model_validate({"pet": {"kind": "dog", "legs": 4}}).pet).__name__ == "Dog"


def test_records_that_are_one_of_several_are_wrapped_in_a_model() -> None:
    found = model({"oneOf": [of(a=NUMBER), of(b=NUMBER)]})

    assert type(found.model_validate({"b": 1}).root).__name__ == "Pet2"


@pytest.mark.parametrize(("item", "expected"), [(TEXT, str), (NUMBER, int), ({"type": "object"}, None), ({}, None)])
def test_plain_records_need_no_model(item: Schema, expected: object) -> None:
    assert model(item) is expected


def test_an_object_that_may_hold_more_keeps_it() -> None:
    pet = model({**PET, "additionalProperties": True})

    assert pet.model_validate({"id": 1, "colour": "red"}).model_dump() == {"id": 1, "name": None, "colour": "red"}


def test_what_is_only_ever_written_is_in_no_record() -> None:
    pet = model(of(id=NUMBER, password={**TEXT, "writeOnly": True}))

    assert set(pet.model_fields) == {"id"}


def test_types_too_long_for_a_line_get_names() -> None:
    kinds = {f"AnimalOfTheKindNumber{number}": of(**{f"a{number}": NUMBER}) for number in range(12)}
    choice = {"oneOf": [ref(name) for name in kinds]}
    states = {"enum": [f"a state that takes some words to say {number}" for number in range(9)]}
    pet = model(
        of(one=choice, several=listed(choice), state=states, last={"anyOf": [states, {"type": "null"}]}), **kinds
    )
    found = pet.model_validate(
        {"one": {"a3": 1}, "several": [{"a11": 1}], "state": "a state that takes some words to say 8", "last": None}
    )

    assert type(found.several[0]).__name__ == "AnimalOfTheKindNumber11"
