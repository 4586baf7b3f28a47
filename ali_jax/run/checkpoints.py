"""Checkpoints of the whole training state (orbax), the last few of them, written in the background."""

import logging
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from ali_jax.errors import UserError, first_line
from ali_jax.files import writing
from ali_jax.run import checksums, devices

logger = logging.getLogger(__name__)

# Folders of a workdir for checkpoints that are out of the way.
UNREADABLE, LATER = "unreadable_checkpoints", "later_checkpoints"


class Checkpoints:
    """The checkpoints of a workdir: `checkpoints/<step>/`.

    A checkpoint counts only once it is whole: orbax renames it into place as the last thing it does. Within
    it, `default/` is the state and `checksums/` what its arrays are to be when they are read again.

    Args:
      keep: so many of the latest ones; None for all.
      read_only: nothing in the workdir is made, moved or removed.
    """

    def __init__(self, workdir: Path, keep: int | None = None, read_only: bool = False):
        self.directory = Path(workdir).absolute() / "checkpoints"
        self._read_only = read_only
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            # Not orbax's own read_only, which warns of every directory that it opens so.
            create=not read_only,
            cleanup_tmp_directories=not read_only,  # of a run that was killed while it saved
            lightweight_initialize=True,  # else one damaged file hides all checkpoints
            # Else, where a folder cannot be made, threads wait ten minutes for it, and the process for them.
            async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
        )
        # Said here and not left to orbax, which looks into the newest checkpoint to find out what all hold.
        handlers = {"default": ocp.PyTreeCheckpointHandler(), "checksums": ocp.JsonCheckpointHandler()}
        with writing(self.directory):
            self._manager = ocp.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info) -> None:
        with writing(self.directory):
            self._manager.close()  # waits for what is being written

    def latest_step(self) -> int | None:
        """The newest step that is there, readable or not; None where there is none."""
        return self._manager.latest_step()

    def preempted(self, call: int) -> bool:
        """Whether a process of several was told to stop and this is the call at which all of them do.

        To be asked by every process with the same numbers, one higher each time; False for a single process.
        """
        with writing(self.directory):
            self._manager.check_for_errors()
        return self._manager.reached_preemption(call)

    def save(self, step: int, state: NamedTuple) -> None:
        """Writes `state` in the background; does nothing if this step is there already.

        Raises:
          UserError: the disk refuses it; where it does in the background, the next call raises that.
        """
        if step == self.latest_step():
            return
        written = _written(state)
        items = {"default": ocp.args.PyTreeSave(written)}
        items["checksums"] = ocp.args.JsonSave(checksums.of_tree(written))
        with writing(self.directory):
            self._manager.save(step, args=ocp.args.Composite(**items))

    def wait(self) -> None:
        """Until what was saved is whole.

        Raises:
          UserError: the disk refused it.
        """
        with writing(self.directory):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def restore(
        self, shapes: NamedTuple, sharding: jax.sharding.Sharding, step: int | None = None
    ) -> tuple[int, Any] | None:
        """(step, state) of the newest readable checkpoint, or of `step`; None where there is none.

        Args:
          shapes: a state of `jax.ShapeDtypeStruct`: what to restore. Fields that are None stay None, whether
            the checkpoint has them or not, and are not read.
          sharding: onto which devices, whatever devices wrote it.
          step: only this one.

        Raises:
          UserError: no checkpoint can be read, or `step` is not there.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if step is not None:
            if step not in steps:
                raise UserError(f"{self.directory} has no checkpoint of step {step}, only {steps}.")
            steps = [step]
        like = devices.placed(_written(shapes), sharding)
        unreadable = []
        for candidate in steps:
            found, error = self._try(candidate, like)
            if error is not None:
                logger.warning("The checkpoint of step %d cannot be read (%s).", candidate, _reason(error))
                unreadable.append((candidate, error))
                continue
            if not self._read_only:
                self._set_aside([bad for bad, _ in unreadable])
            return candidate, shapes._replace(**found)
        if unreadable:
            newest, error = unreadable[0]
            asked = "" if step is None else f" of step {step}"
            raise UserError(
                f"No checkpoint{asked} in {self.directory} can be read (step {newest}: {_reason(error)}); "
                "restore one from a copy, or train into another --workdir."
            ) from error
        return None

    def _try(self, step: int, like: Any) -> tuple[Any, Exception | None]:
        """(what was restored, None), or (None, the error) where any process of the run met one."""
        found = error = None
        try:
            found = self._read(step, like)
        except Exception as met:  # A damaged file may raise anything.
            error = met
        # A model that is only read may be read by one process alone.
        if not self._read_only and devices.any_process(error is not None) and error is None:
            error = OSError("another process of the run cannot read it")
        return found, error

    def _read(self, step: int, like: Any) -> Any:
        """The leaves of `like`, as they were saved.

        Raises:
          OSError: they are not; orbax raises this and much else.
        """
        items = {"default": _only(like)}
        if (self.directory / str(step) / "checksums").exists():  # not in checkpoints older than they are
            items["checksums"] = ocp.args.JsonRestore()
        read = self._manager.restore(step, args=ocp.args.Composite(**items))
        if "checksums" in items and (array := checksums.first_difference(read["default"], read["checksums"])):
            raise OSError(f"{array} is not as it was saved")
        return read["default"]

    def rewind(self, step: int) -> None:
        """Moves the checkpoints beyond `step` out of the way: training writes those steps again."""
        self._set_aside([later for later in self._manager.all_steps() if later > step], LATER)

    def _set_aside(self, steps: list[int], folder: str = UNREADABLE) -> None:
        """Moves checkpoints into a folder beside, as orbax writes no step twice, and none before the last."""
        if not steps:
            return
        workdir = self.directory.parent

        def move() -> None:
            with writing(workdir):
                for step in steps:
                    target = workdir / folder / str(step)
                    target.parent.mkdir(exist_ok=True)
                    shutil.rmtree(target, ignore_errors=True)
                    shutil.move(self.directory / str(step), target)
                    logger.warning("Moved the checkpoint of step %d to %s.", step, target)

        devices.by_process_0(move, UserError(f"Process 0 cannot write {workdir}; see what it says."))
        self._manager.reload()


def _reason(error: Exception) -> str:
    """Why a checkpoint cannot be read, without what orbax advises its callers where shapes differ."""
    return first_line(error).partition(". Truncating/padding")[0]


def _only(like: Any) -> ocp.args.PyTreeRestore:
    """What to ask orbax for the leaves of `like`, and no others."""
    return ocp.args.PyTreeRestore(
        item=like, restore_args=ocp.checkpoint_utils.construct_restore_args(like), partial_restore=True
    )


def _written(state: NamedTuple) -> dict[str, Any]:
    """The fields of a state that are not None.

    None is not written, so that a checkpoint from before a field was there restores as a state without it.
    """
    return {field: value for field, value in state._asdict().items() if value is not None}


def kept_steps(workdir: Path) -> list[int]:
    """The steps of a workdir's whole checkpoints, in order."""
    folders = (Path(workdir) / "checkpoints").glob("*")
    return sorted(int(folder.name) for folder in folders if folder.name.isdigit())
