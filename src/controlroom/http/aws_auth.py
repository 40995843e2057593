"""Requests signed for AWS (Signature Version 4), by botocore, with the credentials that it finds everywhere."""

from __future__ import annotations

from typing import Any

from controlroom.errors import ConfigError
from controlroom.http.addresses import with_query
from controlroom.http.auth import revealed
from controlroom.http.messages import Request
from controlroom.redaction import MASK, register_secret

__all__ = ["AwsSigV4Auth"]


class AwsSigV4Auth:
    """Signs each try for an AWS service, or for whatever else checks such signatures (API Gateway, OpenSearch).

    Without *access_key*, botocore looks for credentials where it always does: environment, shared files, container and
    instance metadata; temporary ones are renewed by it.

    Args:
        service: As it is signed: "execute-api", "es", "s3" …
        region: "eu-central-1"; None: the one that botocore is configured with.
        access_key: Shown in output; goes together with …
        secret_key: … a text or a pydantic ``SecretStr``. Masked in all output from now on.
        session_token: Of temporary credentials; as *secret_key*.
        profile: Of the shared files, where no keys are given.

    Raises:
        ConfigError: One key was given without the other, or no region or no credentials were found.

    Guarantees:
        The signature covers method, URL, query and body, and holds for this try only. Importing this loads nothing of
        AWS; the first instance does.
        Not promised: that looking for credentials at a metadata server heeds the ambient deadline.
    """

    def __init__(
        self,
        service: str,
        *,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: Any = None,
        session_token: Any = None,
        profile: str | None = None,
    ) -> None:
        from botocore.credentials import Credentials  # noqa: PLC0415 - 200 ms that only those pay who sign
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above
        from botocore.session import Session  # noqa: PLC0415 - as above

        if (access_key is None) != (secret_key is None):
            message = "access_key and secret_key go together; without both, botocore looks for them."
            raise ConfigError(message)
        self._service = service
        try:
            session = Session(profile=profile)
            self._region = region or session.get_config_variable("region")
            if access_key is None:
                self._credentials = session.get_credentials()
            else:
                token = None if session_token is None else revealed(session_token, "The session token")
                self._credentials = Credentials(access_key, revealed(secret_key, "The secret key"), token)
        except BotoCoreError as error:
            message = f"Signing for AWS cannot be set up: {error}."
            raise ConfigError(message) from error
        if not self._region or self._credentials is None:
            missing = "credentials" if self._region else "region"
            message = f"No {missing} to sign for {service!r} with: give it to AwsSigV4Auth, or configure botocore."
            raise ConfigError(message)
        self._register()

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        frozen = self._credentials.get_frozen_credentials()
        return frozenset(filter(None, (frozen.secret_key, frozen.token)))

    def __call__(self, request: Request, /) -> Request:
        """Set the headers of the signature."""
        from botocore.auth import S3SigV4Auth, SigV4Auth  # noqa: PLC0415 - as above
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above

        self._register()
        # Headers that proxies or the transport may still change are not signed: a changed one would break the signature.
        asked = AWSRequest(request.method, with_query(request.url, request.params), data=request.content)
        signer = S3SigV4Auth if self._service == "s3" else SigV4Auth
        signer(self._credentials.get_frozen_credentials(), self._service, self._region).add_auth(asked)
        for name, value in asked.headers.items():
            request.headers[name] = value
        return request

    def _register(self) -> None:
        for secret in self.secrets:  # temporary ones change
            register_secret(secret)

    def __repr__(self) -> str:
        return f"AwsSigV4Auth({self._service!r}, region={self._region!r}, {MASK})"
