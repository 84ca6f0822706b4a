"""Bearer tokens of callers from the network: the API server says whose they are and what they may.

As kube-rbac-proxy does it: TokenReview, then SubjectAccessReview for a non-resource URL, `get` to
read and `post` to act. The URL has a prefix of its own: Kubernetes lets everybody who has a token
`get` what lies below /api (the ClusterRole system:discovery).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from report_operator.adapters.cache import ShortCache
from report_operator.adapters.kinds import Kind
from report_operator.adapters.kube import KubeClient

TOKEN_REVIEWS = Kind("/apis/authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Kind("/apis/authorization.k8s.io/v1", "subjectaccessreviews")

PREFIX = "/report-scheduler"  # of the non-resource URLs that ClusterRoles name
REVIEW_SECONDS = 10.0  # a right that is taken away lasts no longer


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a caller may not: 401 without a right token, 403 without the permission."""

    status: int
    detail: str


@dataclass(slots=True)
class Tokens:
    """Raises ApiError, aiohttp.ClientError or TimeoutError where the API server does not serve."""

    kube: KubeClient
    _reviews: ShortCache[tuple[str, str, str], str | Denied] = field(init=False)

    def __post_init__(self) -> None:
        self._reviews = ShortCache(lambda key: self._review(*key), REVIEW_SECONDS)

    async def who(self, authorization: str | None, verb: str, path: str) -> str | Denied:
        """The name of a user who may do this."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Denied(
                401,
                "from the network a bearer token is needed (kubectl create token); "
                "kubectl port-forward needs none",
            )
        return await self._reviews.get((token.strip(), verb, path))

    async def _review(self, token: str, verb: str, path: str) -> str | Denied:
        url = f"{PREFIX}{path}"
        review = await self._ask(TOKEN_REVIEWS, "TokenReview", {"token": token})
        if not review.get("authenticated"):
            return Denied(401, "the bearer token is not valid, or no longer")
        user = review["user"]
        access = await self._ask(
            ACCESS_REVIEWS,
            "SubjectAccessReview",
            {
                "user": user["username"],
                "uid": user.get("uid", ""),
                "groups": user.get("groups") or [],
                "extra": user.get("extra") or {},
                "nonResourceAttributes": {"path": url, "verb": verb},
            },
        )
        if not access.get("allowed"):
            return Denied(
                403,
                f"{user['username']} may not {verb} {url}; a ClusterRole with that "
                "nonResourceURL grants it",
            )
        name: str = user["username"]
        return name

    async def _ask(self, kind: Kind, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        version = kind.prefix.removeprefix("/apis/")
        body = {"apiVersion": version, "kind": name, "spec": spec}
        answer = await self.kube.request("POST", kind.path(None), body=body)
        status: dict[str, Any] = answer.get("status") or {}
        return status
