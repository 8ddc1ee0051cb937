"""``python -m manual_registry`` is ``mreg``."""

from __future__ import annotations

import sys

from manual_registry.cli import main

if __name__ == "__main__":
    sys.exit(main())
