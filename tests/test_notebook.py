"""docs/ali_in_ten_minutes.ipynb runs from top to bottom, and is kept with its pictures.

After a change of it: jupyter nbconvert --to notebook --execute --inplace docs/ali_in_ten_minutes.ipynb
"""

import json
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parent.parent / "docs" / "ali_in_ten_minutes.ipynb"
CELLS = json.loads(FILE.read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def scope(tmp_path_factory):
    """The names that all cells together leave, run one after the other."""
    scope: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
        for number, cell in enumerate(CODE):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), scope)
    return scope


def test_what_it_says_of_reconstructions_directions_and_features_holds(scope):
    error = np.mean(np.square(scope["again"] - scope["test"].x / 255))
    assert error < 0.3 * np.var(scope["test"].x / 255, axis=0).mean()
    ink = scope["edited"].reshape(6, 9, -1).mean(axis=(0, 2))
    assert (np.diff(ink) > 0).all()
    assert scope["accuracies"]["layer_1"] > scope["accuracies"]["pixels"] > 0.7


def test_it_trains_on_a_folder_from_the_model_of_the_package(scope):
    assert int(scope["state"].step) == 100 and scope["mine"].step == 100
    begun = json.loads((scope["workdir"] / "begun.json").read_text())
    assert begun["init_from"]["sha256"] == scope["about"].sha256
    assert (scope["workdir"] / "figures" / "samples_0000100.png").exists()


def test_it_is_kept_as_it_was_run_with_its_pictures_and_small():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "stream"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
    assert FILE.stat().st_size < 500_000
    assert not any("/work" in line or "/tmp" in line for output in outputs for line in output.get("text", ()))
