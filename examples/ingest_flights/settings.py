"""What the ingestion has to be told: ``FLIGHTS_API_URL``, ``FLIGHTS_API_TOKEN``, ``FLIGHTS_FOLDER``, …"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr

from controlroom import BaseSettings

__all__ = ["FlightSettings"]


class FlightSettings(BaseSettings):
    """Where airports are asked for, where files land, where rows go."""

    api_url: HttpUrl
    api_token: SecretStr
    folder: Path
    database_url: str
    page_size: int = Field(20, ge=1, le=100)
