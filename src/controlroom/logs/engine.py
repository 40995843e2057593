"""structlog at work: it carries the bound facts and runs each event through our chain, to our own end of it.

Its global configuration is neither read nor written: `structlog.configure` belongs to the host (Airflow uses it, and
reroutes its own lines when somebody else calls it).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import structlog

from controlroom.logs.context import bound_facts
from controlroom.logs.routes import Route
from controlroom.logs.shape import stamped, without_reserved

__all__ = ["Engine", "start"]

_LEVELS = {method: method.upper() for method in ("debug", "info", "warning", "error")}


class Engine(structlog.BoundLoggerBase):
    """structlog's immutable carrier of facts, with one way to log."""

    def emit(self, method: str, event: str, facts: Mapping[str, Any]) -> None:
        """Run *event* through the chain and hand it to the route."""
        args, kwargs = self._process_event(method, event, dict(without_reserved(facts)))
        getattr(self._logger, method)(*args, **kwargs)


def _with_bound(_route: Route, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the facts bound in the context before those of the logger and of the call, which win."""
    return {**without_reserved(bound_facts()), **event}


def _stamped(route: Route, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return stamped(event, level=_LEVELS[method], logger=route.name)


def _to_route(_route: Route, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[Any], dict[str, Any]]:
    return (event,), {}


_CHAIN = (_with_bound, _stamped, _to_route)


def start(standard: logging.Logger, facts: Mapping[str, Any]) -> Engine:
    """Return an engine that ends in the handlers of *standard* and carries *facts*."""
    proxy = structlog.wrap_logger(
        Route(standard),
        processors=cast("Any", _CHAIN),  # structlog types a processor's result as a copy of its own alias
        wrapper_class=Engine,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("Engine", proxy.bind(**without_reserved(facts)))
