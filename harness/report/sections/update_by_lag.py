"""How much of an update comes from how far back?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import VARIANT, cell_words, variant
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.update_by_lag import STUDY, Updates, updates
from harness.report.tables import Table
from harness.report.words import counted, percent, phrase, plain, setting, split_constant, symbol


@question(
    "update_by_lag",
    heading="How much of an update comes from how far back?",
    study=STUDY,
    order=45,
    explanation=(
        "The gradient of W_hh for a loss at the last step is a sum over the lags: what W_hh did at step t "
        "− ℓ, carried to the loss by ∂s_t/∂s_{t−ℓ}. An update reaches as far back as the lag within which "
        "99 % of the sum of the terms' norms lie."
    ),
)
def answer(run: Run) -> Answer | None:
    found = updates(run)
    if found is None:
        return None
    rows = _rows(found)
    return Answer(sentence=_sentence(rows), table=_table(rows, found.axes), summary=rows)


def _rows(found: Updates) -> pd.DataFrame:
    """One per setting, medians over networks."""
    return pd.DataFrame(
        [
            {
                **own,
                "nearly_all_lag": float(part["nearly_all_lag"].median()),
                "far_share": float(part["far_share"].median()),
                "networks": len(part),
            }
            for own, part in groups(found.networks, found.axes)
        ]
    )


def _named(row: dict[str, object]) -> str:
    rest = setting({axis: row[axis] for axis in ("inputs", "seq_len")})
    return f"{cell_words(row)} under {variant(row, forget_bias=False)} ({rest})"


def _sentence(rows: pd.DataFrame) -> str:
    ordered = records(rows.sort_values("nearly_all_lag", kind="stable"))
    near, far = ordered[0], ordered[-1]
    words = (
        f"99 % of an update comes from the last {counted(int(near['nearly_all_lag']) + 1, 'step')} in "
        f"{_named(near)}"
    )
    if len(ordered) == 1:
        return f"{words}; {percent(near['far_share'])} comes from the further half."
    return (
        f"{words}, and from the last {int(far['nearly_all_lag']) + 1:,} in {_named(far)}; the further half "
        f"of the lags gives {percent(near['far_share'])} of the one and {percent(far['far_share'])} of the "
        f"other."
    )


def _table(rows: pd.DataFrame, axes: list[str]) -> Table:
    rest = [axis for axis in axes if axis not in ("cell", *VARIANT, "backend")]
    varying, constant = split_constant(rows, rest)
    cells = tuple(
        (
            cell_words(row),
            variant(row, forget_bias=False),
            *(plain(row[axis]) for axis in varying),
            plain(row["nearly_all_lag"]),
            percent(row["far_share"]),
        )
        for row in records(rows)
    )
    numbers = ("99 % within (lag)", "from the further half")
    caption = phrase("Medians over seeds; shares of the sum of the terms' norms", setting(constant))
    columns = ("cell", "initialization", *map(symbol, varying), *numbers)
    return Table(columns, cells, caption + ".", frozenset({*numbers, "T", "H", "B", "I"}))
