"""The module as a whole."""

from __future__ import annotations

import pytest

from controlroom import AsyncApiClient, __version__
from controlroom.errors import ConfigError
from controlroom.generate import generate
from controlroom.generate.module import is_untouched
from tests.unit.generate.documents import PET, document, listed, module_of, operation, rich


def test_the_head_says_where_it_comes_from() -> None:
    module = module_of(rich())
    told = " ".join((module.__doc__ or "").split())

    assert f'Generated from Pets "R" \\us 1.0 by controlroom {__version__}; yours to edit.' in told
    assert module.BASE_URL == "https://eu.example.com/v1"
    assert "BASE_URL" in module.__all__
    assert " ".join(module.Pet.__doc__.split()) == "A \\pet of mine"


def test_a_module_is_known_again_until_it_is_edited() -> None:
    source = generate(rich()).source

    assert is_untouched(source)
    assert not is_untouched(source.replace("PetsRUs", "Pets"))
    assert not is_untouched(f"{source}\n")
    assert not is_untouched("")


def test_an_asynchronous_client_has_the_same_endpoints() -> None:
    source = generate(rich(), asynchronous=True).source

    assert "class PetsRUs(AsyncApiClient):" in source
    assert AsyncApiClient.__name__ in source.partition("class ")[0]


@pytest.mark.parametrize("name", ["class", "1st", "a b", "Endpoint", "", "x\nimport os"])
def test_a_class_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a class here"):
        generate(rich(), name=name)


def test_the_class_name_is_the_callers() -> None:
    assert generate(rich(), name="Zoo").client == "Zoo"


def test_a_schema_of_the_clients_name_gives_way() -> None:
    module = module_of(
        document(
            {"/pets": operation(listed({"$ref": "#/components/schemas/Pet"}))}, {"Pet": PET}, info={"title": "Pet"}
        )
    )

    assert module.Pet.pets.model is module.Pet2


@pytest.mark.parametrize("url", ["", "/v1", "ftp://x", "https://user:pass@x.example", "https://x.example\\@y"])
def test_a_server_that_cannot_be_called_is_no_base_url(url: str) -> None:
    tree = document({"/pets": operation(listed(PET))}, servers=[{"url": url}])
    source = generate(tree).source

    assert "BASE_URL" not in source
    assert "The document does not say at which host the API is." in source
    with pytest.raises(ConfigError):
        generate(tree, base_url=url)


def test_the_callers_base_url_wins() -> None:
    assert 'BASE_URL = "http://localhost:8080"' in generate(rich(), base_url="http://localhost:8080").source
