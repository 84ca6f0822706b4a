"""The cluster of `make up`, with what `python3 -m hack.monitoring` installs."""

from tests.e2e.conftest import installed, make_team, team

__all__ = ["installed", "make_team", "team"]
