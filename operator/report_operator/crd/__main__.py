"""`python -m report_operator.crd --write | --check`."""

from __future__ import annotations

import sys

from report_operator.crd.generator import main

if __name__ == "__main__":
    sys.exit(main())
