"""The stub session of the other tests is of use here, too."""

from __future__ import annotations

import sys

from locations import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "apis"))
