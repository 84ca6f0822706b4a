"""A control plane with Kueue, and an operator that hands runs over."""

from tests.integration.conftest import (  # noqa: F401
    make_operator,
    namespace,
    plane,
    proxy,
)
