"""`Parameters` and `Cell`: shapes that are checked by name, and the way to torch and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from implementations import CELLS, Parameters
from implementations.contract import PARAMETER_NAMES


def arrays(rows: int = 12, input_size: int = 2, hidden_size: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "weight_ih": rng.standard_normal((rows, input_size)),
        "weight_hh": rng.standard_normal((rows, hidden_size)),
        "bias_ih": rng.standard_normal(rows),
        "bias_hh": rng.standard_normal(rows),
    }


def test_sizes_follow_from_the_weights() -> None:
    parameters = Parameters(**arrays())
    assert (parameters.input_size, parameters.hidden_size, parameters.num_gates) == (2, 3, 4)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weight_ih", (12,)),
        ("weight_ih", (11, 2)),
        ("weight_ih", (12, 0)),
        ("weight_hh", (12, 3, 1)),
        ("weight_hh", (12, 5)),
        ("weight_hh", (12, 0)),
        ("bias_ih", (11,)),
        ("bias_ih", (12, 1)),
        ("bias_hh", ()),
    ],
)
def test_a_misfit_is_named(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Parameters(**{**arrays(), name: np.zeros(shape)})
    assert str(shape) in str(caught.value)


def test_parameters_are_frozen() -> None:
    parameters = Parameters(**arrays())
    with pytest.raises(AttributeError):
        parameters.weight_ih = np.zeros((12, 2))  # type: ignore[misc]


def test_arrays_and_back_with_extras() -> None:
    given = {**arrays(), "weight_peephole": np.ones((3, 3))}
    parameters = Parameters.from_arrays(given)
    assert list(parameters.arrays()) == [*PARAMETER_NAMES, "weight_peephole"]
    np.testing.assert_array_equal(parameters.extras["weight_peephole"], np.ones((3, 3)))
    with pytest.raises(ValueError, match="missing weight_hh, bias_hh"):
        Parameters.from_arrays({k: given[k] for k in ("weight_ih", "bias_ih")})


@pytest.mark.parametrize("name", PARAMETER_NAMES)
def test_an_extra_does_not_take_a_parameters_place(name: str) -> None:
    """`arrays()` would hold the extra and `weight_hh` another."""
    given = arrays()
    with pytest.raises(ValueError, match=f"extras must not hold {name}"):
        Parameters(**given, extras={name: 0 * given[name]})


def test_astype_copies_extras_too() -> None:
    parameters = Parameters.from_arrays({**arrays(), "weight_peephole": np.ones((3, 3))})
    narrow = parameters.astype("float32")
    assert {a.dtype for a in narrow.arrays().values()} == {np.dtype("float32")}
    parameters.astype("float64").weight_ih[:] = 0
    assert parameters.weight_ih.any()


MODULES = {
    "rnn_tanh": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}
CELL_MODULES = {
    "rnn_tanh": torch.nn.RNNCell,
    "lstm": torch.nn.LSTMCell,
    "gru": torch.nn.GRUCell,
}


@pytest.mark.parametrize("cell", MODULES)
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_from_torch_every_layer_and_direction(cell: str, layer: int, reverse: bool) -> None:
    module = MODULES[cell](2, 3, num_layers=2, bidirectional=True)
    parameters = Parameters.from_torch(module, layer=layer, reverse=reverse)
    suffix = f"_l{layer}" + ("_reverse" if reverse else "")
    for name, array in parameters.arrays().items():
        np.testing.assert_array_equal(array, getattr(module, name + suffix).detach().numpy())
    assert parameters.input_size == (6 if layer else 2)
    CELLS[cell].check_parameters(parameters)


@pytest.mark.parametrize("cell", CELL_MODULES)
def test_from_torch_cells(cell: str) -> None:
    module = CELL_MODULES[cell](2, 3)
    parameters = Parameters.from_torch(module)
    np.testing.assert_array_equal(parameters.weight_hh, module.weight_hh.detach().numpy())
    with pytest.raises(ValueError, match="layer=1"):
        Parameters.from_torch(module, layer=1)


def test_from_torch_copies() -> None:
    module = torch.nn.GRU(2, 3)
    parameters = Parameters.from_torch(module)
    parameters.weight_ih[:] = 0
    assert module.weight_ih_l0.detach().numpy().any()


def test_absent_biases_are_zeros() -> None:
    for module in (torch.nn.LSTM(2, 3, bias=False), torch.nn.LSTMCell(2, 3, bias=False)):
        parameters = Parameters.from_torch(module)
        assert parameters.bias_ih.shape == parameters.bias_hh.shape == (12,)
        assert not parameters.bias_ih.any()
        assert not parameters.bias_hh.any()
        assert parameters.bias_ih is not parameters.bias_hh


def test_from_torch_refusals_name_what_is_there() -> None:
    with pytest.raises(ValueError, match="proj_size"):
        Parameters.from_torch(torch.nn.LSTM(2, 5, proj_size=3))
    with pytest.raises(ValueError, match=r"weight_ih_l2.*weight_ih_l0"):
        Parameters.from_torch(torch.nn.LSTM(2, 3), layer=2)
    with pytest.raises(ValueError, match="weight_ih_l0_reverse"):
        Parameters.from_torch(torch.nn.LSTM(2, 3), reverse=True)
    with pytest.raises(ValueError, match="Linear"):
        Parameters.from_torch(torch.nn.Linear(2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dict_round_trip(dtype: torch.dtype) -> None:
    """Into a fresh module of two layers and directions, by torch's own strict loading."""
    sizes = {"input_size": 2, "hidden_size": 3, "num_layers": 2, "bidirectional": True, "dtype": dtype}
    source, target = torch.nn.LSTM(**sizes), torch.nn.LSTM(**sizes)
    state: dict[str, torch.Tensor] = {}
    for layer in (0, 1):
        for reverse in (False, True):
            parameters = Parameters.from_torch(source, layer, reverse)
            state |= parameters.to_state_dict(layer, reverse)
    target.load_state_dict(state, strict=True)
    for name, value in source.state_dict().items():
        assert state[name].dtype == dtype
        assert torch.equal(target.state_dict()[name], value)


def test_cell_shapes_and_gates() -> None:
    lstm = CELLS["lstm"]
    shapes = lstm.parameter_shapes(2, 3)
    assert shapes == {"weight_ih": (12, 2), "weight_hh": (12, 3), "bias_ih": (12,), "bias_hh": (12,)}
    rows = np.arange(12)
    assert {gate: lstm.gate(rows, gate).tolist() for gate in lstm.gates} == {
        "i": [0, 1, 2],
        "f": [3, 4, 5],
        "g": [6, 7, 8],
        "o": [9, 10, 11],
    }
    assert np.shares_memory(lstm.gate(rows, "f"), rows)
    with pytest.raises(KeyError, match="lstm has no gate 'z'"):
        lstm.gate(rows, "z")
    for sizes in ((0, 3), (2, 0), (2, -1)):
        with pytest.raises(ValueError, match="must be at least 1"):
            lstm.parameter_shapes(*sizes)


def test_a_cell_refuses_another_cells_parameters() -> None:
    with pytest.raises(ValueError, match=r"gru: weight_ih must be \(9, 2\)"):
        CELLS["gru"].check_parameters(Parameters(**arrays()))
    with pytest.raises(ValueError, match="lstm has no parameter weight_peephole"):
        CELLS["lstm"].check_parameters(
            Parameters.from_arrays({**arrays(), "weight_peephole": np.ones((3, 3))})
        )
