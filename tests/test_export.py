"""Trained models as files and by name: written, read, refused where they are damaged, started from."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from helpers import assert_same, make_conditional_config, untrained

from ali_jax import config as config_lib
from ali_jax import data, export, inference, pretrained
from ali_jax.errors import UserError
from ali_jax.pretrained import weights
from ali_jax.roles import Roles
from ali_jax.run.workdirs import claim
from experiments.common import trained_runs


@pytest.fixture(scope="module")
def x():
    return data.load("digits", "test").x[:50]


@pytest.fixture
def exported(tmp_path, tiny_workdir, in_process):
    """A copy of the tiny run, and a function that exports it."""
    workdir = shutil.copytree(tiny_workdir, tmp_path / "run")

    def run(*flags, name="tiny.safetensors"):
        in_process(export, f"--workdir={workdir}", f"--output={tmp_path / name}", *flags)
        return tmp_path / name

    return run


def test_a_file_holds_the_model_of_its_workdir(exported, tiny_workdir, x):
    original, loaded = inference.load(tiny_workdir), inference.load(exported("--discriminator"))
    assert_same(loaded.params, original.params)
    assert_same(loaded.batch_stats, original.batch_stats)
    assert loaded.step == 12 and loaded.networks == original.networks
    codes = inference.encode(loaded, x)
    assert_same(inference.judge(loaded, x, codes).score, inference.judge(original, x, codes).score)


def test_without_D_it_does_all_but_judge(exported, x):
    model = inference.load(exported())
    assert inference.reconstruct(model, x).shape == x.shape
    assert inference.sample(model, jax.random.key(0), 3).shape == (3, 8, 8, 1)
    with pytest.raises(UserError, match="exported without its discriminator"):
        inference.judge(model, x, inference.encode(model, x))
    with pytest.raises(UserError, match="of step 12, not of 4"):
        inference.load(exported(), step=4)


def test_half_the_bytes_are_the_same_model(exported, tiny_workdir, x, capsys):
    whole, half = exported(), exported("--float16", name="half.safetensors")
    assert half.stat().st_size < 0.8 * whole.stat().st_size
    assert "float16 changes samples by" in capsys.readouterr().out
    (a, b) = (inference.load(path) for path in (whole, half))
    assert_same(a.batch_stats, b.batch_stats)
    assert {leaf.dtype for leaf in jax.tree.leaves(b.params)} == {np.dtype(np.float32)}
    changed = np.abs(inference.encode(a, x) - inference.encode(b, x)).max()
    assert 0 < changed < 0.01


@pytest.mark.parametrize("spoil", [lambda leaf: leaf * 1e6, lambda leaf: leaf * 1e-9])
def test_half_the_bytes_are_refused_where_they_are_not_enough(tiny_workdir, spoil):
    """Values beyond the range of float16, and others so small that they become 0."""
    model = inference.load(tiny_workdir)
    spoilt = model._replace(params=model.params._replace(encoder=jax.tree.map(spoil, model.params.encoder)))
    arrays = weights.flatten(spoilt.params, spoilt.batch_stats, ("generator", "encoder"))
    with pytest.raises(UserError, match=r"In float16 the codes .* leave out --float16"):
        export.check_halved(spoilt, export.halve(arrays), 0)


def test_a_file_is_not_replaced_by_half_the_bytes_that_are_not_enough(exported, monkeypatch):
    file = exported()
    before = file.read_bytes()
    monkeypatch.setattr(export, "CHANGE", {"samples": 0.0, "codes": 0.0})
    with pytest.raises(UserError, match="leave out --float16"):
        exported("--float16")
    assert file.read_bytes() == before


def test_where_a_file_cannot_be_written_is_told(exported, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"taken/.* cannot be written .*pass another --output"):
        exported(name="taken/tiny.safetensors")
    with pytest.raises(UserError, match=r"--output is .*tiny\.npz; pass a name that ends in \.safetensors"):
        exported(name="tiny.npz")


def test_the_header_says_what_the_model_is(exported, tmp_path, tiny_config):
    (tmp_path / "run" / "begun.json").write_text('{"command": "python -m ali_jax.main"}')
    file = exported()
    about = inference.about(file)
    assert about.config["model"]["x_shape"] == [8, 8, 1] and about.config["num_steps"] == 12
    assert (about.step, about.dataset, about.scores) == (12, "digits, split train", [])
    assert about.command == "python -m ali_jax.main" and len(about.sha256) == 64
    path, config = trained_runs.read(file)
    assert str(path) == "runs/models/tiny" and config.to_dict()["terms"] == tiny_config.to_dict()["terms"]


def results(steps=12, kept=90.0) -> dict:
    reconstruction = {"through_mu": {"kept_percent": kept}}
    beside = {"command": "python -m experiments.reconstructions", "hardware": "a chip"}
    return beside | {
        "steps": steps,
        "data": {"judged": "digits, split test, 297 examples"},
        "model": {"reconstruction": reconstruction, "samples": {"coverage_referee": 0.5}},
        "data_alone": {"referee": {"accuracy_percent": 98.0}},
        "cost": {"seconds": 1800.0},
    }


def test_a_card_shows_what_was_measured_of_this_seed_and_of_others(exported, tmp_path):
    for seed, kept in enumerate((90.0, 92.0)):
        (tmp_path / f"{seed}.json").write_text(json.dumps(results(kept=kept)))
    file = exported("--card", f"--scores={tmp_path / '0.json'},{tmp_path / '1.json'}")
    card = file.with_suffix(".md").read_text()
    assert "| class that reconstructions keep (of attributes: the mean), % | 90; 91 +- 1 | 98 |" in card
    assert "| coverage of samples | 0.5; 0.5 +- 0 | - |" in card
    assert "12 steps of 16 examples, 0.5 hours" in card and "1,500 for train" in card
    assert inference.about(file).sha256 in card and f"`inference.load({file.name!r})`" in card
    for picture in ("samples", "reconstructions"):
        assert f"![{picture}](tiny_{picture}.png)" in card
        assert (tmp_path / f"tiny_{picture}.png").stat().st_size > 500


def test_scores_in_their_place_are_found_and_those_of_other_steps_refused(exported, tmp_path):
    usual = tmp_path / "run" / "results" / "reconstructions" / "results.json"
    usual.parent.mkdir(parents=True)
    usual.write_text(json.dumps(results()))
    assert inference.about(exported()).scores == [results()]
    usual.write_text(json.dumps(results(steps=4)))
    with pytest.raises(UserError, match="measured at step 4, and the model is of step 12"):
        exported()
    for text in ("[]", json.dumps({"steps": 12})):  # a card needs the hardware and the command, too
        usual.write_text(text)
        with pytest.raises(UserError, match=r"no results\.json"):
            exported()


def test_a_classifier_is_its_discriminator(tmp_path, in_process):
    claim(tmp_path / "run", load_config("digits_semi_supervised", "supervised"))
    with pytest.raises(UserError, match="holds a classifier, whose G and E are untrained; pass --discrim"):
        in_process(export, f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'a.safetensors'}")


def test_a_model_of_attributes_is_halved_with_attributes():
    config = make_conditional_config(4, 4, 3)
    model = untrained(config, x=np.zeros((2, 4, 4, 3), np.uint8), attributes=np.zeros((2, 40), np.uint8))
    arrays = weights.flatten(model.params, model.batch_stats, ("generator", "encoder"))
    export.check_halved(model, export.halve(arrays), 40)


@pytest.mark.parametrize("harm", ["truncated", "changed", "foreign", "empty"])
def test_a_damaged_or_foreign_file_is_one_sentence(exported, harm):
    from safetensors.numpy import save_file

    file = exported()
    content = bytearray(file.read_bytes())
    if harm == "changed":
        content[-5] ^= 1
    file.write_bytes({"truncated": content[:-9], "empty": b""}.get(harm, content))
    if harm == "foreign":
        save_file({"weight": np.zeros(3)}, file)
    with pytest.raises(UserError, match=r"is no (whole )?model of ali_jax") as error:
        inference.load(file)
    assert "\n" not in str(error.value) and str(file) in str(error.value)


def test_a_header_has_a_checksum_and_its_config_is_one(exported):
    file = exported()
    content = file.read_bytes()
    assert content.count(b'\\"leak\\": 0.1') == 1
    file.write_bytes(content.replace(b'\\"leak\\": 0.1', b'\\"leak\\": 0.0'))
    with pytest.raises(UserError, match=r"no whole model of ali_jax .the checksum of its header is another"):
        inference.load(file)
    file.write_bytes(content)
    arrays, about = weights.read(file)
    for config in ([], {**about.config, "batch_size": "ten"}, {**about.config, "model": "x"}):
        weights.write(file, arrays, about._replace(config=config))
        for reader in (inference.load, pretrained.config_of):
            with pytest.raises(UserError, match=r"no whole model of ali_jax .its config: "):
                reader(file)


def test_a_role_that_a_model_never_had_is_not_said_to_be_left_out():
    config = config_lib.load("configs/mixture.py", "gan")
    model = untrained(config, x=np.zeros((2, 2), np.float32))
    with pytest.raises(UserError, match="has no encoder"):
        model.variables("encoder")


def test_a_card_that_cannot_be_made_leaves_the_file_as_it_was(exported, monkeypatch):
    before = (file := exported()).read_bytes()

    def absent(config):
        raise UserError("no data")

    monkeypatch.setattr(export.examples, "all_fit", absent)
    with pytest.raises(UserError, match="no data"):
        exported("--card", "--discriminator")
    assert file.read_bytes() == before


def test_a_file_that_is_not_what_its_config_says_is_told(exported):
    file = exported()
    arrays, about = weights.read(file)
    name = "encoder/params/stack/layer_1/kernel"
    for wrong in ({name: arrays[name][:3]}, {}):
        weights.write(file, {n: a for n, a in arrays.items() if n != name} | wrong, about)
        with pytest.raises(UserError, match=f"{name} is .* export the model again"):
            inference.load(file)


def test_names_are_those_of_files_that_come_with_the_package(exported, tmp_path, monkeypatch, x):
    monkeypatch.setattr(pretrained, "MODELS", tmp_path)
    file = exported()
    assert pretrained.names() == ["tiny"]
    monkeypatch.chdir(tmp_path)
    assert_same(inference.encode(inference.load("tiny"), x), inference.encode(inference.load(file), x))
    assert trained_runs.load("tiny").model.step == 12
    with pytest.raises(UserError, match=r"There is no tiny in this folder; .* pass a string"):
        inference.load(Path("tiny"))
    (tmp_path / "tiny").mkdir()
    assert inference.load("tiny").step == 12, "a folder of that name is ./tiny"
    with pytest.raises(UserError, match="is a workdir"):
        inference.about("./tiny")
    with pytest.raises(UserError, match="and this is a Model"):
        inference.load(inference.load("tiny"))
    (tmp_path / "tiny" / "config.json").write_text("{}")
    for reader in (inference.load, trained_runs.load):
        with pytest.raises(UserError, match=r"and a workdir in this folder; say \./tiny for the workdir"):
            reader("tiny")
    with pytest.raises(UserError, match=r"mnist is no workdir, .*\(tiny\)"):
        inference.load("mnist")


@pytest.mark.parametrize("path", sorted(pretrained.MODELS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_every_model_of_the_package_loads_and_has_a_card(path):
    model = inference.load(path.stem)
    assert np.isfinite(inference.sample(model, jax.random.key(0), 2)).all()
    assert inference.about(path.stem).sha256 in path.with_suffix(".md").read_text()


def test_roles_are_all_or_nothing():
    """A role without an array is None, whatever the others have."""
    arrays = {"generator/params/w": np.ones(2)}
    shapes = Roles({"w": jnp.ones(2)}, {"w": jnp.ones(3)}, {}), Roles({}, {}, {})
    params, batch_stats = weights.as_roles("file", arrays, shapes)
    assert params.encoder is params.discriminator is None and batch_stats.generator == {}
