"""structlog at work: it carries the facts of a logger to each of its events, and these to our own end of the chain.

Its global configuration is neither read nor written: `structlog.configure` belongs to the host (Airflow uses it, and
reroutes its own lines when somebody else calls it).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import structlog

from controlroom.logs.context import bound_facts
from controlroom.logs.routes import Route
from controlroom.logs.shape import headed, without_reserved

__all__ = ["Engine", "start"]

_NAMES = {getattr(logging, name): name for name in ("DEBUG", "INFO", "WARNING", "ERROR")}


class Engine(structlog.BoundLoggerBase):
    """structlog's immutable carrier of facts, with one way to log.

    Its chain would have one step, which merges the facts once. So the step is taken here: structlog's loop over processors
    merges them twice before, and would be a seventh of the cost of a line.
    """

    _logger: Route

    def emit(self, level: int, event: str, facts: Mapping[str, Any]) -> None:
        """Lead *event* on, with the facts bound in the context, those of the logger, and those of the call, which win."""
        route = self._logger
        named = without_reserved(facts)
        route.lead(level, headed((_NAMES[level], event, route.name), bound_facts(), self._context, named))


def start(standard: logging.Logger, facts: Mapping[str, Any]) -> Engine:
    """Return an engine that ends in the handlers of *standard* and carries *facts*."""
    proxy = structlog.wrap_logger(
        Route(standard), processors=(), wrapper_class=Engine, context_class=dict, cache_logger_on_first_use=True
    )
    return cast("Engine", proxy.bind(**without_reserved(facts)))
