"""docs/converters.md says of every data set what its --help says."""

from __future__ import annotations

from locations import REPOSITORY

from clmot_qd.datasets.converters import DataSet, Option, data_sets

PAGE = REPOSITORY / "docs" / "converters.md"


def section(entry: DataSet) -> str:
    """What the page has to hold of a data set."""
    options = "".join(f"| `{option.flag}` | {_help(option)} |\n" for option in entry.options)
    table = f"\n\n| option | |\n|---|---|\n{options}" if options else ""
    return f"## {entry.name}\n\n{entry.summary}.\n\n```text\n{entry.layout.strip()}\n```{table}".rstrip()


def _help(option: Option) -> str:
    return option.arguments.get("help", "").replace("%(default)s", str(option.arguments.get("default")))


def sections() -> list[str]:
    return [section(entry) for entry in data_sets().values()]


def test_every_data_set_has_its_section() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for entry in data_sets().values():
        assert section(entry) in page, f"docs/converters.md: the section {entry.name} is not what --help says"


def test_the_page_has_no_other_sections() -> None:
    headings = [line[3:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert [heading for heading in headings if not heading[0].isupper()] == list(data_sets())
