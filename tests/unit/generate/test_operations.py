"""Which GETs are lists, and where their records stand."""

from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import DataError
from controlroom.generate import generate
from tests.unit.generate.documents import (
    NUMBER,
    PET,
    TEXT,
    Schema,
    document,
    listed,
    module_of,
    of,
    operation,
    query,
    source_for,
)

PETS = listed(PET)


def places(paths: Schema, **more: Any) -> dict[str, Any]:
    """Where the records of each endpoint stand, by its path."""
    client = module_of(document(paths, **more)).PetStore
    return {one.path: one.records for one in vars(client).values() if hasattr(one, "pagination")}


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (PETS, None),
        (of(data=PETS), "data"),
        (of(data=of(items=PETS)), "data.items"),
        (of(_embedded=of(pets=PETS)), "_embedded.pets"),
        (of(pets=PETS, total_entries=NUMBER), "pets"),
        (of(animals=PETS, count=NUMBER, next=TEXT), "animals"),
        (of(items=PETS, warnings=listed(TEXT)), "items"),
        (of(accounts=PETS, uri=TEXT, next_page_uri=TEXT, page_size=NUMBER), "accounts"),
        ({"anyOf": [of(items=PETS), {"type": "null"}]}, "items"),
        ({"allOf": [of(total=NUMBER), of(items=PETS)]}, "items"),
        ({"type": ["array", "null"], "items": PET}, None),
    ],
)
def test_the_records_stand_where_the_list_is(answer: Schema, place: str | None) -> None:
    assert places({"/pets": operation(answer)}) == {"/pets": place}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/pets/{id}", of(id=NUMBER, name=TEXT, tags=listed(TEXT))),
        ("/orders/{id}", of(id=NUMBER, items=PETS, customer=TEXT)),
        ("/health", of(status=TEXT, checks=listed(TEXT), uptime=NUMBER)),
        ("/pets", PET),
        ("/pets", {}),
    ],
)
def test_one_record_with_a_list_in_it_is_no_list_of_records(path: str, answer: Schema) -> None:
    found = places({path: operation(answer), "/other": operation(PETS)})

    assert set(found) == {"/other"}


def test_several_lists_of_which_none_is_named_like_records_are_not_guessed() -> None:
    found = generate(document({"/changes": operation(of(added=PETS, removed=PETS)), "/pets": operation(PETS)}))

    assert (
        "# Not declared: GET /changes, which answers with several lists, none of them named like records."
        in found.source
    )
    assert found.doubts == ("GET /changes: which answers with several lists, none of them named like records",)


def test_references_to_answers_and_parameters_are_followed_and_media_types_read() -> None:
    tree = document({"/pets": {"parameters": [{"$ref": "#/components/parameters/page"}], "get": {}}})
    tree["paths"]["/pets"]["get"] = {"responses": {"2XX": {"$ref": "#/components/responses/pets"}}}
    tree["components"]["parameters"] = {"page": query("page", NUMBER)}
    tree["components"]["responses"] = {"pets": {"content": {"application/hal+json; v=1": {"schema": PETS}}}}
    source = generate(tree).source

    assert 'pets = Endpoint("/pets", pagination=PageNumberPagination(param="page"), model=Pet)' in source


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"text/csv": {"schema": PETS}}, "200"),
        ({"application/json": {"schema": PETS}}, "404"),
        ({"application/json": {}}, "200"),
    ],
)
def test_what_is_no_json_or_no_success_is_no_list(content: Schema, status: str) -> None:
    tree = document({"/pets": {"get": {"responses": {status: {"content": content}}}}})

    with pytest.raises(DataError, match="no GET that answers with a list of records"):
        generate(tree)


def test_comments_say_what_the_document_says() -> None:
    parameters = [query("status"), query("owner", required=True)]
    source = source_for(PETS, *parameters, summary="Pets for\nsale", deprecated=True)

    assert (
        "    # Pets for sale.\n    # GET /pets. Deprecated.\n    # Needs params: owner.\n    # Takes params: status.\n"
        in source
    )


def test_what_a_request_needs_besides_is_told() -> None:
    header = {"name": "X-Tenant", "in": "header", "required": True, "schema": TEXT}
    source = source_for(PETS, header, servers=[{"url": "https://other.example"}])

    assert "# Needs headers, which the client is given: X-Tenant." in source
    assert "# The document has it elsewhere: https://other.example." in source


NAMES = {
    "listPets": "pets",
    "get_all_pets": "all_pets",
    "list_pets_pets_get": "pets",
    "repos/list-for-org": "repos_list_for_org",
    "get": "pets",
    "GET": "pets",
    "records": "records_",
    "class": "class_",
    "名前": "pets",
    "3d": "records_3_d",
    "dict": "dict_",
}


@pytest.mark.parametrize("operation_id", NAMES)
def test_endpoints_are_named_after_their_operation_and_collide_with_nothing(operation_id: str) -> None:
    client = module_of(document({"/pets": operation(PETS, operationId=operation_id)})).PetStore

    assert [name for name in vars(client) if hasattr(getattr(client, name), "pagination")] == [NAMES[operation_id]]


def test_endpoints_of_one_name_are_told_apart() -> None:
    paths = {f"/{place}/pets": operation(PETS) for place in ("a", "b", "c")}
    client = module_of(document(paths)).PetStore

    assert [client.pets.path, client.pets_.path, client.pets3.path] == ["/a/pets", "/b/pets", "/c/pets"]


def test_path_parameters_can_be_given_by_keyword() -> None:
    path = "/{self}/{class}/{user-id}/{user.id}/{ok}/{params}/pets"
    module = module_of(document({path: operation(PETS)}))

    assert module.PetStore.pets.path == "/{self_}/{class_}/{user_id}/{user_id_}/{ok}/{params_}/pets"
    next(
        iter([module.PetStore("https://x.example").pets(self_=1, class_=2, user_id=3, user_id_=4, ok=5, params_=6)])
    ).close()


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="does not begin with a slash"):
        generate(document({"https://evil.example/pets": operation(PETS)}))
