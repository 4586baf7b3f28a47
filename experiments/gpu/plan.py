"""The parts of the plan, in their order, and the data that they need."""

import itertools
import json
from pathlib import Path
from typing import NamedTuple

from ali_jax import data, files
from ali_jax.data import array_files, tfds_files
from ali_jax.errors import UserError
from experiments.common import contest

DATA = {
    "cifar10": ("train", "test"),
    "svhn_cropped": ("train", "test", "extra"),
    "mnist": ("train", "test"),
}

# How 32-bit products are computed; JAX's default on a GPU is tf32.
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32"}

# Steps a call, of dense networks whose step is shorter than a call is long.
CALLS = "--config.steps_per_dispatch=100"
DATA_DIR = "--config.data_dir={folder}/data"

ROOT = Path(__file__).parent.parent.parent
# Of what is computed; each file a part, so that it fits into a slice.
NUMERIC_TESTS = (
    *sorted((ROOT / "tests" / "models").glob("test_*.py")),
    *sorted((ROOT / "tests" / "terms").glob("test_*.py")),
    *(
        ROOT / "tests" / f"test_{name}.py"
        for name in ("train_step", "interleaving", "disturbance", "inference")
    ),
)


class Part(NamedTuple):
    """A command that may be stopped by SIGTERM and, started again, goes on or begins anew."""

    name: str
    command: list[str]  # of Python, in the root of the repository; "{folder}" is that of the plan
    environment: dict[str, str] = {}  # noqa: RUF012 - a default that nothing changes
    after: str = ""  # the part whose run it is of, which must be done first


def prepare(folder: Path, parts: list[Part], data_dir: str | None) -> None:
    """Copies the decoded data into `folder`/data, and writes the plan.

    Args:
      folder: made where it is not there.
      parts: of the plan.
      data_dir: where the data sets are; see `data.load`.

    Raises:
      UserError: work on a plan of this folder was begun, or data are missing.
    """
    if state_file(folder).exists():
        raise UserError(f"Work on {folder} was begun; pass another --workdir.")
    for name, splits in DATA.items():
        for split in splits:
            with files.writing(folder):
                copy(name, split, data_dir, folder / "data")
    write(folder, parts)


def copy(name: str, split: str, data_dir: str | None, to: Path) -> None:
    """Writes a split, decoded, to where `data.load` finds it in the data_dir `to`."""
    arrays = {field: a for field, a in data.load(name, split, data_dir)._asdict().items() if a is not None}
    root = tfds_files.root_folder(data_dir)
    place = to / tfds_files.decoded_folder(root, name, split).relative_to(root)
    place.mkdir(parents=True, exist_ok=True)
    if to.samefile(root):  # what is read would be written over
        return
    copies = array_files.create(place, {field: (a.shape, a.dtype) for field, a in arrays.items()})
    for field, array in arrays.items():
        copies[field][:] = array
    # Checksums are of what is written here: files that were decoded long ago may have none.
    array_files.describe(place, copies, f"{name} {split}")


def write(folder: Path, parts: list[Part]) -> None:
    """Writes plan.json."""
    text = json.dumps({"parts": [part._asdict() for part in parts]}, indent=2)
    files.write_whole(folder / "plan.json", f"{text}\n".encode())


def read(folder: Path) -> list[Part]:
    """The parts of plan.json; a UserError where it is not there or holds something else."""
    path = folder / "plan.json"
    try:
        return [Part(**part) for part in json.loads(path.read_text())["parts"]]
    except FileNotFoundError:
        raise UserError(f"{folder} holds no plan.json; run `prepare` with this --workdir first.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no plan ({error}); mend it, or make it anew by `prepare`.") from None


def state_file(folder: Path) -> Path:
    """What says how far the parts of the plan are."""
    return folder / "results" / "state.json"


# --- The plan ---------------------------------------------------------------------------------------


def all_parts(share: float, opponent: str | None) -> list[Part]:
    """The whole plan, what is wanted most first.

    Args:
      share: of their full lengths that trainings and timings take.
      opponent: of the benchmarks, "NAME: COMMAND", or None.

    Raises:
      UserError: the opponent has no name, or no command.
    """
    return [
        *cifar10(share),
        *svhn_10k(share),
        mnist(share),
        *mnist_bigan(share),
        *mixture(share),
        *benchmarks(share, opponent),
        *map(numeric_tests, NUMERIC_TESTS),
        # Of the first part's runs those that were not made yet.
        cifar10_table("cifar10_table", share, "--seeds=0,1,2"),
    ]


def cifar10(share: float) -> list[Part]:
    """4,000 labels, one seed, with what is kept of its run."""
    table = cifar10_table("cifar10", share, "--seeds=0", "--methods=ali")
    return [table, *kept("cifar10", "ali_4000_0")]


def cifar10_table(name: str, share: float, *flags: str) -> Part:
    return few_labels(name, "cifar10", lengths(540_000, share), *flags)


def svhn_10k(share: float) -> list[Part]:
    """1,000 labels on as much of SVHN as its subset of 10,000 images has, 500 of them held out."""
    splits = ["--config.train_split=train[:3500]+extra[:4000]", "--config.validation_split=train[3500:4000]"]
    # 900 epochs of 7,500 images, of which 100 unlabelled ones a step.
    steps = lengths(900 * 75, share)
    flags = [*splits, "--seeds=0,1,2", "--methods=ali,supervised"]
    return [few_labels("svhn", "svhn", steps, *flags), *kept("svhn", "ali_1000_0")]


def mnist(share: float) -> Part:
    """100 labels by a published recipe, whose game has no encoder, and ours on its D."""
    flags = ["--methods=feature_matching,ali", "--at_once", CALLS]
    return few_labels("mnist", "mnist_improved_gan", lengths(165_000, share), *flags)


def mnist_bigan(share: float) -> list[Part]:
    """BiGAN and its latent regressor for 400 epochs, three seeds at once, and the neighbours of codes."""
    names = {"bigan": "mnist_bigan", "latent_regressor": "mnist_latent_regressor"}

    def training(variant: str, name: str) -> Part:
        config = [f"--config=configs/mnist_bigan.py:{variant}", DATA_DIR, CALLS]
        where = [f"--workdir={{folder}}/runs/{name}", "--seeds=0,1,2"]
        return Part(name, ["-m", "experiments.seeds", *config, *where, *lengths(187_500, share)])

    def neighbours(name: str, seed: str) -> Part:
        where = [f"--workdir={{folder}}/runs/{name}/{seed}", f"--output={{folder}}/results/{name}/{seed}"]
        return Part(f"{name}_{seed}", ["-m", "experiments.neighbours", *where, DATA_DIR], after=name)

    judged = [neighbours(name, f"seed_{seed}") for name in names.values() for seed in range(3)]
    return [*itertools.starmap(training, names.items()), *judged]


def few_labels(name: str, model: str, steps: list[str], *flags: str) -> Part:
    """Rows of the table of `experiments.semi_supervised`."""
    config = [f"--config=configs/{model}_semi_supervised.py", DATA_DIR]
    where = [f"--workdir={{folder}}/runs/{model}", f"--output={{folder}}/results/{name}"]
    return Part(name, ["-m", "experiments.semi_supervised", *config, *where, *steps, *flags])


def kept(name: str, run: str) -> list[Part]:
    """E and G of a run as a file, and its curves."""
    workdir, output = f"--workdir={{folder}}/runs/{name}/{run}", f"{{folder}}/results/{name}/{run}"
    model = ["-m", "ali_jax.export", workdir, f"--output={output}.safetensors", "--float16"]
    curves = ["-m", "experiments.curves", workdir, f"--output={output}", DATA_DIR]
    return [Part(f"{name}_model", model, after=name), Part(f"{name}_curves", curves, after=name)]


def mixture(share: float) -> list[Part]:
    """The 25-mode study for the paper's 200 epochs."""
    steps = lengths(200_000, share)

    def part(command: str, *flags: str, after: str = "") -> Part:
        where = ["--workdir={folder}/runs/mixture", f"--output={{folder}}/results/mixture_{command}"]
        return Part(f"mixture_{command}", ["-m", "experiments.mixture", command, *where, *flags], after=after)

    return [part("search", *steps), part("compare", after="mixture_search")]


def lengths(full: int, share: float) -> list[str]:
    """Flags of a training: its steps, and that it saves after 10,000 of them, or a twentieth."""
    steps = max(1, round(share * full))
    saves = min(10_000, -(-steps // 20))
    values = {"num_steps": steps, "log_every": max(1, saves // 10)}
    values |= {"figures_every": saves, "checkpoint_every": saves}
    return [f"--config.{name}={value}" for name, value in values.items()]


def benchmarks(share: float, opponent: str | None) -> list[Part]:
    """SVHN's and CIFAR-10's step, for two sizes of batches and three kinds of numbers; the loop, too, where
    there is no opponent.
    """
    return [
        benchmark(model, batch, dtype, max(1, round(share * 100)), opponent)
        for model in ("svhn", "cifar10")
        for batch in (100, 1000)
        for dtype in ("float32", "tf32", "bfloat16")
    ]


def benchmark(model: str, batch: int, dtype: str, steps: int, opponent: str | None) -> Part:
    name = f"benchmark_{model}_{batch}_{dtype}"
    config = [f"--config=configs/{model}.py", DATA_DIR]
    config += [f"--config.batch_size={batch}", f"--config.log_every={steps}"]
    config += ["--config.dtype=bfloat16"] if dtype == "bfloat16" else []
    beside = []
    if opponent:
        contest.named([opponent])
        words = {"{model}": model, "{batch}": str(batch), "{dtype}": dtype}
        for word, value in words.items():
            opponent = opponent.replace(word, value)
        # Ours in the numbers of this part alone; those of tf32 are float32 to the networks.
        beside = [f"--opponent={opponent}", f"--dtypes={'bfloat16' if dtype == 'bfloat16' else 'float32'}"]
    flags = [f"--steps={steps}", f"--output={{folder}}/results/{name}", *beside]
    precision = PRECISIONS.get(dtype)
    environment = {"JAX_DEFAULT_MATMUL_PRECISION": precision} if precision else {}
    return Part(name, ["-m", "experiments.benchmark", *config, *flags], environment)


def numeric_tests(file: Path) -> Part:
    """Tests of what is computed, on the device that there is and as precisely as it can."""
    options = ["-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "-m", "not slow", "-q"]
    # Set, so that the tests' own defaults, a CPU and a compiler that optimises little, are not.
    environment = {"JAX_PLATFORMS": "", "XLA_FLAGS": "", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
    command = ["-m", "pytest", *options, file.relative_to(ROOT).as_posix()]
    return Part(f"tests_{file.stem.removeprefix('test_')}", command, environment)
