"""The two pages, from their templates: everything that is put in is escaped unless marked otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report import escape
from harness.report.escape import file_stem
from harness.report.tables import Table

MARKDOWN_ROWS = 40
"""Of a table in Markdown; HTML shows HTML_ROWS; the CSV has them all."""
HTML_ROWS = 1000


def html(content: Mapping[str, Any], template: str = "report.html.j2") -> str:
    """report.html: one file, everything in it, escaped by Jinja2."""
    environment = _environment(autoescape=True)
    return environment.get_template(template).render(**content, max_rows=HTML_ROWS)


def markdown(content: Mapping[str, Any], template: str = "report.md.j2") -> str:
    """report.md: figures are linked; every value is escaped for Markdown by `finalize`."""
    environment = _environment(autoescape=False, finalize=_markdown_value)
    environment.filters["table"] = _markdown_table
    environment.filters["anchor"] = lambda name: Markup(f'<a id="{file_stem(name)}"></a>\n')
    environment.filters["code"] = lambda text: Markup(escape.markdown_code(text))
    return environment.get_template(template).render(**content)


def _environment(**options: Any) -> Environment:
    return Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def _markdown_value(value: Any) -> Any:
    return value if isinstance(value, Markup) else escape.markdown(value)


def _markdown_table(table: Table) -> Markup:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(escape.markdown(cell) or ' ' for cell in cells)} |"

    rule = ["---:" if column in table.numeric else "---" for column in table.columns]
    lines = [line(table.columns), f"| {' | '.join(rule)} |", *map(line, table.rows[:MARKDOWN_ROWS])]
    more = len(table.rows) - MARKDOWN_ROWS
    if more > 0:
        lines += ["", f"… and {more} more rows."]
    return Markup("\n".join(lines))
