"""What a network writes is shown as it wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.outcome import Measured
from harness.report import write_report
from tests.report.synthetic import write_run
from tests.report.synthetic_claims import language


def test_what_a_network_says_is_shown_letter_by_letter(tmp_path: Path) -> None:
    said = "def f(a_b):\n    return a_b * '```' <script>\n"
    items = [
        (case, replace(outcome, facts={**outcome.facts, "said": said}))
        for case, outcome in language("gru", 2.5, 400.0, seeds=(0,))
        if isinstance(outcome, Measured)
    ]
    folder = write_run(tmp_path / "run", items)
    page = write_report(folder).read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "\ngru with H=8 says:\n" in markdown
    assert "\n````text\ndef f(a_b):\n    return a_b * '```' <script>\n\n````\n" in markdown
    assert "def f(a_b):\n    return a_b * &#39;```&#39; &lt;script&gt;\n</pre>" in page
    assert "- gru with H=8 learned for 1.0 s (60 steps)." in markdown


def test_networks_are_named_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    items = [*language("gru", 2.5, 400.0), *language("lstm", 3.5, 4000.0)]
    for case, outcome in language("lstm", 2.6, 4000.0):
        items.append((replace(case, axes={**case.axes, "forget_bias": 1.0}), outcome))
    folder = write_run(tmp_path / "run", items)
    write_report(folder)
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    for name in ("gru with H=8", "lstm with H=8", "lstm with forget bias 1, H=8"):
        assert markdown.count(f"\n{name} says:\n") == 1
    for name in ("gru (H=8, steps 60)", "lstm (H=8, steps 60)", "lstm (forget bias 1, H=8, steps 60)"):
        assert markdown.count(f"\n| {name} |") == 1
