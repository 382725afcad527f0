"""The two pages, from their templates: everything that is put in is escaped unless marked otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report import escape
from harness.report.escape import file_stem
from harness.report.tables import Table, cut

if TYPE_CHECKING:
    from harness.report.build import Section

MARKDOWN_ROWS = 40
"""Of a table in Markdown; HTML shows HTML_ROWS; the CSV has them all."""
HTML_ROWS = 1000


def html(content: Mapping[str, Any], template: str = "report.html.j2") -> str:
    """report.html: one file, everything in it, escaped by Jinja2."""
    environment = _environment(autoescape=True)
    environment.filters["cut"] = lambda table: cut(table, HTML_ROWS)
    return environment.get_template(template).render(**content)


def markdown(
    content: Mapping[str, Any],
    template: str = "report.md.j2",
    *,
    left_out: Collection[str] = (),
    figures: str = "svg",
) -> str:
    """report.md: figures are linked; every value is escaped for Markdown by `finalize`.

    Args:
        left_out: files that the page shall not lead to, because they are not beside it.
        figures: the format of the pictures that are.
    """
    environment = _environment(autoescape=False, finalize=_markdown_value)
    environment.filters["cut"] = lambda table: cut(table, MARKDOWN_ROWS)
    environment.filters["table"] = _markdown_table
    environment.filters["lines"] = _markdown_lines
    environment.filters["anchor"] = lambda name: Markup(f'<a id="{file_stem(name)}"></a>\n')
    environment.filters["code"] = lambda text: Markup(escape.markdown_code(text))
    environment.filters["quote"] = lambda text: Markup(escape.markdown_block(text))
    environment.tests["beside"] = lambda path: path not in left_out
    return environment.get_template(template).render(**content, format=figures)


def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters["by_topic"] = _by_topic
    return environment


def _by_topic(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """The sections under what they are about, in the order in which each topic first appears."""
    found: dict[str, list[Section]] = {}
    for section in sections:
        found.setdefault(section.topic, []).append(section)
    return list(found.items())


def _markdown_value(value: Any) -> Any:
    return value if isinstance(value, Markup) else escape.markdown(value)


def _markdown_table(table: Table) -> Markup:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(escape.markdown(cell) or ' ' for cell in cells)} |"

    rule = ["---:" if column in table.numeric else "---" for column in table.columns]
    return Markup("\n".join([line(table.columns), f"| {' | '.join(rule)} |", *map(line, table.rows)]))


def _markdown_lines(parts: Sequence[str]) -> Markup:
    """Several lines within one cell, or one item of a list."""
    return Markup("<br>".join(escape.markdown(part) for part in parts))
