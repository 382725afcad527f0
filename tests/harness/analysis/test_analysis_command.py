"""`python -m harness analyze` from outside: a checkpoint that a plain PyTorch script saved, one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from harness.analysis import Settings, analyze, analyze_checkpoint
from tests.harness.command import ROOT
from tests.report.test_browser import BROWSERS, opened

SCRIPT = Path(__file__).parent / "train_char_model.py"


def command(*arguments: str | Path) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "harness", "analyze", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder with what a plain PyTorch script left: model.safetensors, vocabulary.txt, text.txt."""
    folder = tmp_path_factory.mktemp("model")
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True, timeout=100)
    return folder


@pytest.fixture(scope="module")
def page(model: Path) -> Path:
    """The report of one command on it."""
    done = command(
        *("--weights", model / "model.safetensors", "--data", model / "text.txt"),
        *("--vocabulary", model / "vocabulary.txt", "--steps", 64, "--samples", 2),
        *("--results", model / "results"),
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


def test_one_command_gives_a_report_with_figures_and_tables(model: Path, page: Path):
    assert page.name == "report.html"
    assert page.parent.parent == model / "results"
    assert page.parent.name.endswith("-analyze")
    assert not list((model / "results").glob(".*"))
    text = (page.parent / "report.md").read_text(encoding="utf-8")
    for words in (
        "lstm.l0, lstm.l1, all there are",
        "own embedding.weight",
        "2 windows of 64 steps",
        "characters numbered by",
        "its forget bias +1",
        "chrono",
        "python -m harness analyze --weights",
    ):
        assert words in text
    for name in ("decay", "anchors", "changes", "spectrum", "lyapunov", "gates"):
        assert (page.parent / "figures" / f"{name}.svg").stat().st_size > 1000
        assert (page.parent / "figures" / f"{name}.png").stat().st_size > 1000
    summaries = pd.read_csv(page.parent / "tables" / "summaries.csv")
    assert set(summaries["layer"]) == {"lstm.l0", "lstm.l1"}
    assert set(summaries["block"]) == {"hh", "hc", "ch", "cc", "ss"}
    assert summaries["rate"].notna().all()
    changes = pd.read_csv(page.parent / "tables" / "changes.csv").set_index(["layer", "change"])
    for layer in ("lstm.l0", "lstm.l1"):
        own, shifted = changes.loc[(layer, "as given")], changes.loc[(layer, "its forget bias +2")]
        assert shifted["rate"] > own["rate"]


def test_the_command_measures_what_the_live_module_gives(model: Path, page: Path):
    from safetensors.torch import load_file

    state = load_file(model / "model.safetensors")
    module = torch.nn.LSTM(12, 16, num_layers=2)
    module.load_state_dict({k.removeprefix("lstm."): v for k, v in state.items() if k.startswith("lstm.")})
    vocabulary = (model / "vocabulary.txt").read_text()
    text = (model / "text.txt").read_text()
    tokens = torch.tensor([vocabulary.index(character) for character in text])
    windows = torch.stack([tokens[:64], tokens[-64:]], dim=1)
    live = analyze(module, state["embedding.weight"][windows], settings=Settings(seeds=1)).decay
    told = pd.read_csv(page.parent / "tables" / "decay.csv")
    assert ("lstm." + live["layer"]).equals(told["layer"].astype(live["layer"].dtype))
    np.testing.assert_allclose(told["log10_spectral_norm"], live["log10_spectral_norm"], atol=1e-9)


@pytest.mark.browser
def test_the_page_opens_in_a_browser_and_asks_for_nothing(page: Path, tmp_path: Path):
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    pixels, hosts = opened(found, page, tmp_path, height=6000)
    assert not hosts
    for part in np.array_split(pixels, 8):
        assert part.std() > 0.01
    colourful = pixels.max(axis=2) - pixels.min(axis=2) > 0.4
    assert colourful.mean() > 0.002


def test_a_network_that_diverges_is_reported_at_its_step_and_exits_with_1(tmp_path: Path):
    np.savez(
        tmp_path / "model.npz",
        weight_ih_l0=np.ones((2, 1)),
        weight_hh_l0=100.0 * np.eye(2),
        weight_ih_l1=np.full((2, 2), 1e-9),
        weight_hh_l1=np.eye(2),
    )
    np.save(tmp_path / "data.npy", np.ones((200, 1, 1)))
    done = command(
        *("--weights", tmp_path / "model.npz", "--data", tmp_path / "data.npy", "--cell", "rnn_relu"),
        *("--results", tmp_path / "results"),
    )
    assert done.returncode == 1, done.stderr
    *failures, last = done.stdout.strip().splitlines()
    assert "l0 diverged at step t = 156 of 200" in failures[0]
    assert "it reads layers of which this is known" in failures[1]
    text = (Path(last).parent / "report.md").read_text(encoding="utf-8")
    assert "diverged at step t = 156" in text
    assert "exploding" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "no.npz"], ["--data"]),
        (["--weights", "no.npz", "--data", "no.npy"], ["no.npz: cannot be read"]),
        (["--weights", "no.npz", "--data", "no.npy", "--steps", "0"], ["steps must be", "at least 1"]),
    ],
)
def test_wrong_use_is_one_line(arguments, words):
    done = command(*arguments)
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def test_tokens_through_the_embedding_are_the_vectors_of_their_rows(model: Path, tmp_path: Path):
    from safetensors.numpy import load_file

    tokens = np.random.default_rng(0).integers(0, 20, (12, 2))
    np.save(tmp_path / "tokens.npy", tokens)
    np.save(tmp_path / "vectors.npy", load_file(model / "model.safetensors")["embedding.weight"][tokens])
    options = {"layers": ["lstm.l0"], "settings": Settings(seeds=1, anchors=1)}
    one, other = (
        analyze_checkpoint(model / "model.safetensors", tmp_path / name, **options).decay
        for name in ("tokens.npy", "vectors.npy")
    )
    assert one.equals(other)


@pytest.mark.parametrize(
    ("options", "warned"),
    [([], True), (["--vocabulary", "vocabulary.txt"], False), (["--embedding", "seeded"], False)],
)
def test_a_trained_embedding_without_its_numbering_is_warned_of(model: Path, tmp_path: Path, options, warned):
    options = [model / word if word.endswith(".txt") else word for word in options]
    done = command(
        *("--weights", model / "model.safetensors", "--data", model / "text.txt", "--layer", "lstm.l0"),
        *("--steps", 8, "--samples", 1, "--results", tmp_path, *options),
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("warning: the model was trained with a numbering of its own") == warned
    assert ("--vocabulary" in first) == warned
    assert ("first sight: to the model" in next(tmp_path.glob("*/report.md")).read_text()) == warned
