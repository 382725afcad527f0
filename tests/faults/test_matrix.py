"""Each fault is brought about, and ends as the committed matrix says; `make faults` writes it anew."""

from __future__ import annotations

import pytest

from tests.faults import matrix, scenes_disk, scenes_run, scenes_worker  # noqa: F401 (they enter their faults)
from tests.faults.fault import FAULTS, Ending, Fault
from tests.faults.stage import Stage

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(faulty_here, tmp_path_factory):
    return Stage(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def seen(request):
    found: dict[str, tuple[Fault, Ending]] = {}
    yield found
    if request.config.getoption("--write-faults"):
        assert list(found) == list(FAULTS), "some fault failed, or was left out: nothing written"
        matrix.write("matrix", matrix.table(found))


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name, stage, seen, request):
    fault = FAULTS[name]
    ending = fault.scene(stage)
    seen[name] = (fault, ending)
    if not request.config.getoption("--write-faults"):
        assert matrix.row(fault, ending) == matrix.committed().get(name)


def test_the_page_has_these_faults_and_no_others(request):
    if request.config.getoption("--write-faults"):
        pytest.skip("the page is being written")
    assert set(matrix.committed()) == set(FAULTS)
