"""Who asks: the bearer token of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from coldchain.services.access import Access, AccessDenied
from coldchain.services.principals import Forbidden, Principal

Guard = Callable[..., Principal]
"""A dependency that returns whose token it was, or lets nobody pass."""

_bearer = HTTPBearer(
    auto_error=False, description="The operator's token (D/secrets/operator.token), or one of `coldchain token create`."
)


def anybody(access: Access, scope: str) -> Guard:
    """Every token with that scope passes; the route asks the principal what it may do with it."""

    def guard(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        if credentials is None:
            raise AccessDenied("expected the header Authorization: Bearer <token>")
        principal = access.principal(credentials.credentials, address_of(request))
        principal.require(scope)
        return principal

    return guard


def presented(access: Access, connection: HTTPConnection, scope: str) -> Principal:
    """The same for what is no request, a WebSocket that opens."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AccessDenied("expected the header Authorization: Bearer <token>")
    principal = access.principal(token.strip(), address_of(connection))
    principal.require(scope)
    return principal


def overseers(access: Access) -> Guard:
    """The operator, authorities and auditors pass: what is asked here speaks of everybody's goods."""
    read = anybody(access, "read")

    def guard(principal: Principal = Depends(read)) -> Principal:
        if not principal.sees_all:
            raise Forbidden(
                f"this speaks of everybody's goods: {principal.org} asks as {principal.role}, and may ask for units and"
                " findings of goods that another party handed to it or took from it"
            )
        return principal

    return guard


def operator_only(access: Access) -> Guard:
    """Only the operator's token passes."""
    read = anybody(access, "read")

    def guard(principal: Principal = Depends(read)) -> Principal:
        if not principal.is_operator:
            raise Forbidden(f"this is the operator's: {principal.org} asks as {principal.role}")
        return principal

    return guard


def may_still_ask(access: Access, principal: Principal) -> bool:
    """Whether the token still says what it said when a stream was opened with it."""
    try:
        return access.standing(principal.org, principal.token) == principal
    except AccessDenied:
        return False


def address_of(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""
