"""Live modules and step functions: what is analysed is what torch computes, by its own autograd."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from harness.analysis import Settings, analyze, analyze_step
from harness.errors import UserError

SMALL = Settings(seeds=1, anchors=2)
STEPS, SAMPLES, WIDTH, HIDDEN = 14, 2, 3, 5


def inputs(width: int = WIDTH) -> torch.Tensor:
    return torch.randn(STEPS, SAMPLES, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def autograd_norm(layer: torch.nn.Module, read: torch.Tensor, lag: int, sample: int = 0) -> float:
    """‖∂h_T/∂h_{T−lag}‖₂ of a one-layer module, through its own autograd."""
    read = read[:, sample : sample + 1]
    gated = isinstance(layer, torch.nn.LSTM)
    _, state = layer(read[:-lag])
    h, rest = (state[0], state[1:]) if gated else (state, ())

    def later(h: torch.Tensor) -> torch.Tensor:
        return layer(read[-lag:], (h, *rest) if gated else h)[0][-1, 0]

    jacobian = torch.autograd.functional.jacobian(later, h)
    return float(torch.linalg.matrix_norm(jacobian[:, 0, 0], 2))


def found_norm(frame, layer: str, lag: int, block: str = "hh", sample: int = 0) -> float:
    row = frame[
        (frame["layer"] == layer)
        & (frame["lag"] == lag)
        & (frame["block"] == block)
        & (frame["sample"] == sample)
        & (frame["anchor"] == STEPS)
    ]
    return 10.0 ** float(row["log10_spectral_norm"].item())


@pytest.mark.parametrize(
    ("kind", "options"),
    [(torch.nn.LSTM, {}), (torch.nn.GRU, {}), (torch.nn.RNN, {}), (torch.nn.RNN, {"nonlinearity": "relu"})],
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_module_is_analysed_as_torch_computes_it(kind, options, bias):
    torch.manual_seed(0)
    module = kind(WIDTH, HIDDEN, bias=bias, **options).double()
    found = analyze(module, inputs(), settings=SMALL)
    for sample in range(SAMPLES):
        expected = autograd_norm(module, inputs(), 6, sample)
        assert found_norm(found.decay, "l0", 6, sample=sample) == pytest.approx(expected, rel=1e-10)
    assert not found.failed


def test_deeper_layers_and_reverse_directions_read_what_reaches_them():
    torch.manual_seed(0)
    module = torch.nn.GRU(WIDTH, HIDDEN, num_layers=2, bidirectional=True, batch_first=True).double()
    below = torch.nn.GRU(WIDTH, HIDDEN, bidirectional=True).double()
    below.load_state_dict({k: v for k, v in module.state_dict().items() if "_l0" in k})
    above = torch.nn.GRU(2 * HIDDEN, HIDDEN).double()
    reverse = {k: v for k, v in module.state_dict().items() if k.endswith("_l1_reverse")}
    above.load_state_dict({k.replace("_l1_reverse", "_l0"): v for k, v in reverse.items()})
    with torch.no_grad():
        read = below(inputs())[0].flip(0)
    found = analyze(module, inputs().swapaxes(0, 1), settings=SMALL)
    assert found_norm(found.decay, "l1_reverse", 5) == pytest.approx(autograd_norm(above, read, 5), rel=1e-10)
    assert list(found.decay["layer"].unique()) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    alone = analyze(module, inputs().swapaxes(0, 1), layer=1, reverse=True, settings=SMALL)
    assert found_norm(alone.decay, "l1_reverse", 5) == found_norm(found.decay, "l1_reverse", 5)
    assert list(alone.decay["layer"].unique()) == ["l1_reverse"]


def test_a_direction_that_diverges_leaves_the_steps_that_both_reached():
    torch.manual_seed(0)
    module = torch.nn.RNN(1, 2, nonlinearity="relu", num_layers=2, bidirectional=True, bias=False).double()
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(torch.full_like(value, 1e-9) if "_l1" in name else torch.ones_like(value))
        module.weight_hh_l0_reverse.copy_(50.0 * torch.eye(2))
    read = torch.ones(260, 1, 1, dtype=torch.float64)
    found = {part.network.name: part for part in analyze(module, read, settings=SMALL).layers}
    assert not found["l0"].failed
    steps = len(found["l0_reverse"].network.inputs)
    assert 150 < steps < 260
    assert f"l0_reverse diverged at step t = {steps + 1} of 260" in found["l0_reverse"].failed[0]
    with torch.no_grad():
        expected = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False).double()
        expected.load_state_dict({k: v for k, v in module.state_dict().items() if k.endswith("_l0")})
        forwards = expected(read)[0].numpy()
    # the reverse direction ends early: what both know are the last steps
    np.testing.assert_allclose(found["l1"].network.inputs[:, :, :2], forwards[-steps:])
    assert "it reads layers" in found["l1"].failed[0]


def test_a_cell_is_analysed_as_the_layer_of_the_same_weights():
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(WIDTH, HIDDEN).double()
    layer = torch.nn.LSTM(WIDTH, HIDDEN).double()
    layer.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
    found, expected = (analyze(m, inputs().numpy(), settings=SMALL) for m in (cell, layer))
    assert found.decay.drop(columns="layer").equals(expected.decay.drop(columns="layer"))


def test_of_a_wide_state_the_leading_exponents_are_kept(monkeypatch):
    layer = torch.nn.LSTM(WIDTH, HIDDEN).double()
    every = analyze(layer, inputs().numpy(), settings=SMALL)
    seq_len, size = len(inputs()), 2 * HIDDEN
    monkeypatch.setattr("harness.analysis.layer.QR_CUBES", 2.5 * seq_len * size**2 / 4)
    found = analyze(layer, inputs().numpy(), settings=SMALL)
    assert f"exponents beyond the leading 2, for their cost at S = {size}" in " ".join(found.left_out)
    assert found.lyapunov["index"].tolist() == [1, 2]
    assert len(every.lyapunov) == size


def lstm_step(parameters, x, state):
    h, c = state
    gates = x @ parameters["w"].T + h @ parameters["u"].T + parameters["b"]
    i, f, g, o = gates.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def weights_of(layer: torch.nn.LSTM) -> dict[str, torch.Tensor]:
    own = layer.state_dict()
    return {"w": own["weight_ih_l0"], "u": own["weight_hh_l0"], "b": own["bias_ih_l0"] + own["bias_hh_l0"]}


def test_a_step_function_gives_what_the_module_gives():
    torch.manual_seed(0)
    layer = torch.nn.LSTM(WIDTH, HIDDEN).double()
    expected = analyze(layer, inputs(), settings=SMALL)
    zeros = torch.zeros(SAMPLES, HIDDEN)
    found = analyze_step(lstm_step, weights_of(layer), inputs(), (zeros, zeros), settings=SMALL)
    alone = torch.zeros(HIDDEN)
    mapped = analyze_step(lstm_step, weights_of(layer), inputs(), (alone, alone), settings=SMALL)
    columns = ["log10_spectral_norm", "log10_frobenius_norm"]
    for other in (found, mapped):
        assert other.decay["block"].equals(expected.decay["block"])
        np.testing.assert_allclose(other.decay[columns], expected.decay[columns], atol=1e-9)
        np.testing.assert_allclose(other.lyapunov["exponent"], expected.lyapunov["exponent"], atol=1e-8)
        np.testing.assert_allclose(
            other.spectrum["log10_singular_value"], expected.spectrum["log10_singular_value"], atol=1e-6
        )
    assert "known by name" in found.left_out[0]


def test_products_of_a_step_neither_under_nor_overflow():
    weight = torch.tensor([[1e-3]], dtype=torch.float64)
    found = analyze_step(lambda w, x, h: h * w[0], weight, torch.zeros(400, 1, 1), torch.ones(1, 1))
    assert found.decay["log10_spectral_norm"].min() == pytest.approx(-1200, abs=1e-6)
    assert found.summaries["half_life"].item() == pytest.approx(np.log(2) / np.log(1000))


def test_parts_of_several_widths_are_one_state():
    def step(w, x, state):
        a, b = state
        return torch.tanh(a * w + b.sum(-1, keepdim=True)), 0.5 * b + x

    state = (torch.zeros(2), torch.zeros(3))
    found = analyze_step(step, torch.ones(2), torch.randn(8, 2, 3), state, settings=SMALL)
    assert list(found.decay["block"].unique()) == ["hh"]
    assert found.lyapunov["exponent"].size == 5
    assert "widths 2, 3" in dict(found.facts)["State"]


@pytest.mark.parametrize(
    ("module", "read", "options", "error", "words"),
    [
        (torch.nn.Linear(3, 3), torch.zeros(4, 1, 3), {}, TypeError, "got Linear"),
        (torch.nn.Sequential(torch.nn.GRU(3, 3)), torch.zeros(4, 1, 3), {}, TypeError, "it has 0: give one"),
        (
            torch.nn.LSTM(3, 4, proj_size=2),
            torch.zeros(4, 1, 3),
            {},
            UserError,
            "weight_hr_l0 is a projection",
        ),
        (torch.nn.GRU(3, 3), torch.zeros(4, 1, 3), {"layer": 1}, ValueError, "it has l0"),
        (torch.nn.GRU(3, 3), torch.zeros(4, 1, 2), {}, UserError, "width 3"),
        (torch.nn.GRU(3, 3), torch.zeros(0, 1, 3), {}, ValueError, "T >= 1"),
        (torch.nn.GRU(3, 3), torch.full((4, 1, 3), torch.nan), {}, UserError, "got nan at index (0, 0, 0)"),
    ],
)
def test_what_does_not_fit_is_refused(module, read, options, error, words):
    with pytest.raises(error) as caught:
        analyze(module, read, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("step", "state", "words"),
    [
        (lambda p, x, h: (h, h), torch.zeros(2, 3), "must return one tensor"),
        (lambda p, x, h: h[:, :2], torch.zeros(2, 3), "widths [3], got [[2]]"),
        (lambda p, x, h: h[0], (torch.zeros(2, 3),), "a tuple of 1 tensors"),
        (lambda p, x, h: h, torch.zeros(5, 3), "B = 2"),
        (lambda p, x, h: h, torch.zeros(1, 2, 3), "got shapes [(1, 2, 3)]"),
    ],
)
def test_a_step_that_does_not_return_its_state_is_refused(step, state, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are looked for below
        analyze_step(step, None, torch.zeros(4, 2, 1), state)
    assert words in str(caught.value)


def test_an_analysis_takes_the_place_of_an_older_one_and_of_nothing_else(tmp_path):
    found = analyze(torch.nn.GRU(WIDTH, 2), inputs(), settings=SMALL)
    page = found.write(tmp_path / "mine")
    assert found.write(tmp_path / "mine") == page
    assert {path.name for path in page.parent.iterdir()} == {"figures", "tables", "report.html", "report.md"}
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").write_text("keep me")
    with pytest.raises(UserError, match="no analysis"):
        found.write(tmp_path / "theirs")
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["notes.txt"]


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, harness.analysis\n"
        "heavy = [m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules]\nassert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
