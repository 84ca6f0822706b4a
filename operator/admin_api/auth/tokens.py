"""Callers from the network: tokens and rights, reviewed by the API server.

As kube-rbac-proxy does it: TokenReview, then SubjectAccessReview for a non-resource URL, `get` to
read and `post` to act. The URL has a prefix of its own, because the ClusterRole system:discovery
lets everybody who has a token `get` what lies below /api.

The contents of a team's reports (files, messages, log lines, recipients) also need a right in its
namespace: `get` of `reportschedules/files`, a subresource that exists for this right only.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.resources import Resource
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.api.v1alpha1.resource import GROUP, PLURAL

TOKEN_REVIEWS = Resource("/apis/authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Resource("/apis/authorization.k8s.io/v1", "subjectaccessreviews")

PREFIX = "/report-scheduler"  # of the non-resource URLs that ClusterRoles name
REVIEW_SECONDS = 10.0  # that a review is cached, and a revoked right lasts
REVIEWS = 16  # at once, which bounds what made-up tokens cost the API server
ALL_NAMESPACES = ""
SUBRESOURCE = "files"
FILES_RIGHT = f"get {PLURAL}/{SUBRESOURCE} ({GROUP})"  # in messages


@dataclass(frozen=True, slots=True)
class User:
    """Of a TokenReview or of an authenticating proxy.

    `groups` and `extra` are JSON, so that a User can be hashed.
    """

    name: str
    uid: str = ""
    groups: str = "[]"
    extra: str = "{}"

    @property
    def attributes(self) -> dict[str, Any]:
        """The user's fields of a SubjectAccessReview."""
        return {
            "user": self.name,
            "uid": self.uid,
            "groups": json.loads(self.groups),
            "extra": json.loads(self.extra),
        }


@dataclass(frozen=True, slots=True)
class Denied:
    """401 without a valid token, 403 without the permission."""

    status: int
    detail: str


@dataclass(slots=True)
class Tokens:
    """Raises ApiError, aiohttp.ClientError or TimeoutError where the API server does not serve."""

    kube: KubeClient
    _reviews: TTLCache[tuple[str, str, str], User | Denied] = field(init=False)
    _permits: TTLCache[tuple[User, str, str], User | Denied] = field(init=False)
    _rights: TTLCache[tuple[User, str], bool] = field(init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REVIEWS))

    def __post_init__(self) -> None:
        self._reviews = TTLCache(lambda key: self._review(*key), REVIEW_SECONDS)
        self._permits = TTLCache(lambda key: self._permit(*key), REVIEW_SECONDS)
        self._rights = TTLCache(lambda key: self._review_files(*key), REVIEW_SECONDS)

    async def authenticate(self, authorization: str | None, verb: str, path: str) -> User | Denied:
        """The token's user, if it may `verb` the path."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Denied(
                401,
                "from the network a bearer token is needed (kubectl create token); "
                "kubectl port-forward needs none",
            )
        return await self._reviews.get((token.strip(), verb, path))

    async def authorize(self, user: User, verb: str, path: str) -> User | Denied:
        """The user, whom somebody else has authenticated, if it may `verb` the path."""
        return await self._permits.get((user, verb, path))

    async def may_read(self, user: User, namespace: str) -> bool:
        """Whether the user may read the reports of a namespace, or of ALL_NAMESPACES."""
        return await self._rights.get((user, namespace))

    async def _review(self, token: str, verb: str, path: str) -> User | Denied:
        review = await self._create_review(TOKEN_REVIEWS, "TokenReview", {"token": token})
        if not review.get("authenticated"):
            return Denied(401, "the bearer token is not valid, or no longer")
        reviewed = review["user"]
        user = User(
            reviewed["username"],
            reviewed.get("uid", ""),
            json.dumps(reviewed.get("groups") or []),
            json.dumps(reviewed.get("extra") or {}),
        )
        return await self._permit(user, verb, path)

    async def _permit(self, user: User, verb: str, path: str) -> User | Denied:
        url = f"{PREFIX}{path}"
        if not await self._is_allowed(user, nonResourceAttributes={"path": url, "verb": verb}):
            return Denied(
                403,
                f"{user.name} may not {verb} {url}; a ClusterRole with that "
                "nonResourceURL grants it",
            )
        return user

    async def _review_files(self, user: User, namespace: str) -> bool:
        resource = {
            "group": GROUP,
            "resource": PLURAL,
            "subresource": SUBRESOURCE,
            "verb": "get",
            "namespace": namespace,
        }
        return await self._is_allowed(user, resourceAttributes=resource)

    async def _is_allowed(self, user: User, **attributes: dict[str, str]) -> bool:
        spec = {**user.attributes, **attributes}
        answer = await self._create_review(ACCESS_REVIEWS, "SubjectAccessReview", spec)
        return bool(answer.get("allowed"))

    async def _create_review(
        self, resource: Resource, kind: str, spec: dict[str, Any]
    ) -> dict[str, Any]:
        version = resource.prefix.removeprefix("/apis/")
        body = {"apiVersion": version, "kind": kind, "spec": spec}
        async with self._slots:
            answer = await self.kube.request("POST", resource.path(None), body=body)
        status: dict[str, Any] = answer.get("status") or {}
        return status
