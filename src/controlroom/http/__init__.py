"""Clients for HTTP APIs that never hang, never flood and never lie.

Decisions stand in `controlroom.policy` and in flows here; `Engine` and `AsyncEngine` perform them over httpx transports.
No type of httpx is part of the public surface, except for ``transport=``.
"""

from __future__ import annotations

from controlroom.http.auth import ApiKeyAuth, Auth, BasicAuth, BearerAuth
from controlroom.http.aws_auth import AwsSigV4Auth
from controlroom.http.calls import CallOptions
from controlroom.http.client import ApiClient
from controlroom.http.client_async import AsyncApiClient
from controlroom.http.endpoint import AsyncBoundEndpoint, BoundEndpoint, Endpoint
from controlroom.http.messages import Headers, Request, Response
from controlroom.http.oauth2 import OAuth2ClientCredentials, OAuth2RefreshToken
from controlroom.http.timeouts import Timeouts
from controlroom.policy.circuit import CircuitBreaker
from controlroom.policy.pagination import (
    CursorPagination,
    HeaderCursorPagination,
    KeysetPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    Page,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    Pagination,
    RejectedRecord,
    SinglePage,
    WalkReport,
)
from controlroom.policy.rate_limit import RateLimit

__all__ = [
    "ApiClient",
    "ApiKeyAuth",
    "AsyncApiClient",
    "AsyncBoundEndpoint",
    "Auth",
    "AwsSigV4Auth",
    "BasicAuth",
    "BearerAuth",
    "BoundEndpoint",
    "CallOptions",
    "CircuitBreaker",
    "CursorPagination",
    "Endpoint",
    "HeaderCursorPagination",
    "Headers",
    "KeysetPagination",
    "LinkHeaderPagination",
    "NextUrlPagination",
    "OAuth2ClientCredentials",
    "OAuth2RefreshToken",
    "OffsetPagination",
    "Page",
    "PageNumberPagination",
    "PageRequest",
    "PageResponse",
    "Pagination",
    "RateLimit",
    "RejectedRecord",
    "Request",
    "Response",
    "SinglePage",
    "Timeouts",
    "WalkReport",
]
