"""Who asks: the bearer token of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from coldchain.services.access import Access, AccessDenied

_bearer = HTTPBearer(auto_error=False, description="The operator's token, D/secrets/operator.token.")


def operator_only(access: Access) -> Callable[..., None]:
    """A dependency that lets only the operator's token pass."""

    def operator(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> None:
        if credentials is None:
            raise AccessDenied("expected the header Authorization: Bearer <operator token>")
        access.check_token(credentials.credentials, address_of(request))

    return operator


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
