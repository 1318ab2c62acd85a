"""Where the checkout is. A module of its own: several folders of tests have a conftest."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
