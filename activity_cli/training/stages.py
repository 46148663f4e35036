"""The stages of a training of an encoder and its head, as data, and the one runner that goes through them.

    finetune, joint            warm-up, main, refit warm-up, refit (joint: no refit by default)
    joint from random weights  main

In a warm-up only the recurrent head is trained, on the features of the pretrained encoder: a new head would drive
pretrained weights wherever its own random ones say (Kumar et al. 2022). A refit repeats the training on training and
validation clips together, for all epochs: data is what a small set lacks most. If training the encoder makes the
validation loss much worse, the network keeps the weights of the warm-up, and the refit ends with its own warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from activity_cli.errors import TrainingError
from activity_cli.progress import Progress
from activity_cli.results import EpochRecord
from activity_cli.settings import TrainPlan
from activity_cli.training.callbacks import Weights
from activity_cli.training.checkpoint import Checkpoint, write_checkpoint
from activity_cli.training.runner import FitResult, FitState, OnEpoch

__all__ = ["Outcome", "Stage", "Trainee", "best_of", "plan_stages", "run_stages"]

# Times the validation loss of the warm-up: a few clips' loss is noisy, and a person has asked for the encoder to be
# trained. More is harm.
_HARM = 1.25
# The same, of the last epoch beside the best.
_OVERFITTED = 1.5


@dataclass(frozen=True, slots=True)
class Stage:
    """One training.

    Attributes:
        name: In every record.
        title: Of the progress bar.
        splits: What it is trained on.
        trains_encoder: Whether the encoder is trained, too.
        epochs: At most.
        learning_rate: The highest.
        rate_setting: What a person changes that with.
        starts_anew: Whether it starts from the first weights, not from those of the stage before.
        is_result: Whether its weights may be the model's.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    trains_encoder: bool
    epochs: int
    learning_rate: float
    rate_setting: str = "learning_rate"
    starts_anew: bool = True
    is_result: bool = True

    @property
    def refits(self) -> bool:
        """Whether validation clips are among what it is trained on."""
        return "val" in self.splits


def plan_stages(plan: TrainPlan, *, validates: bool) -> tuple[Stage, ...]:
    """The stages of a training.

    Args:
        plan: The settings with every choice made.
        validates: Whether there are validation clips.
    """
    if plan.mode == "frozen":
        return ()
    main = Stage("main", "Training", ("train",), True, plan.epochs, plan.learning_rate)
    first = [main]
    if plan.warmup_epochs:
        warmup = Stage("warm-up", "Warm-up", ("train",), False, plan.warmup_epochs, plan.learning_rate)
        rate = plan.encoder_learning_rate
        first = [
            warmup,
            replace(main, learning_rate=rate, rate_setting="encoder_learning_rate", starts_anew=False),
        ]
    if not (plan.refit and validates):
        return tuple(first)
    names = {"main": "refit", "warm-up": "refit warm-up"}
    second = [
        replace(
            stage,
            name=names[stage.name],
            title=f"{stage.title} again, with the validation clips",
            splits=("train", "val"),
            is_result=stage.name == "main",
        )
        for stage in first
    ]
    return (*first, *second)


class Trainee(Protocol):
    """What is trained: an encoder and a recurrent head."""

    def fit(self, stage: Stage, resumed: FitState | None, on_epoch: OnEpoch) -> FitResult:
        """Trains it through one stage; ``resumed`` is the state to go on from."""

    def get_weights(self) -> Weights:
        """All of its weights."""

    def set_weights(self, weights: Weights) -> None:
        """Puts them back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training did.

    Attributes:
        records: The epochs of all stages.
        stage: Whose weights are the model's; None: there are no stages.
        validated: The weights before any refit.
        best: The epoch that these are of.
        interrupted: Whether a person stopped it.
        failure: Why it ended early; empty: it did not.
    """

    records: tuple[EpochRecord, ...] = ()
    stage: Stage | None = None
    validated: Weights = ()
    best: EpochRecord | None = None
    interrupted: bool = False
    failure: str = ""


def run_stages(
    stages: tuple[Stage, ...],
    trainee: Trainee,
    checkpoint: Path,
    settings: Mapping[str, Any],
    resumed: Checkpoint | None,
    progress: Progress,
) -> Outcome:
    """Goes through the stages; the trainee ends with the weights of the last one that may be the model's.

    Args:
        stages: In their order.
        trainee: What is trained.
        checkpoint: File in which the state is kept after every epoch.
        settings: What only the same may go on with that state.
        resumed: The state to go on from.
        progress: Gets warnings.

    Raises:
        TrainingError: Nothing usable was learned.
        KeyboardInterrupt: A person interrupted before anything was.
    """
    initial = trainee.get_weights()
    if resumed and not _fits(resumed, stages, initial):
        raise _unfitting(checkpoint)
    records = list(resumed.records) if resumed else []
    kept, kept_stage = (resumed.kept, resumed.kept_stage) if resumed else ([], -1)
    validated, validated_stage = kept, kept_stage
    result = FitResult()
    for number, stage in enumerate(stages):
        if resumed and number < resumed.stage:
            continue
        if stage.refits and stage.trains_encoder and _is_harmed(records):
            break
        before = [record for record in records if record.stage != stage.name]
        state = None
        if resumed and number == resumed.stage:
            state = FitState(tuple(records[len(before) :]), resumed.variables, resumed.best)
        elif stage.starts_anew:
            trainee.set_weights(initial)

        now = Checkpoint(settings, number, tuple(before), (), (), kept, kept_stage)
        try:
            result = trainee.fit(stage, state, partial(_save, checkpoint, now))
        except (KeyboardInterrupt, TrainingError) as error:
            if isinstance(error, TrainingError) and error.code == "training.checkpoint":
                raise _unfitting(checkpoint) from None
            if kept_stage < 0:
                raise
            interrupted = isinstance(error, KeyboardInterrupt)
            result = FitResult((), interrupted, "" if interrupted else str(error))
        records = [*before, *result.records]
        ended_early, harmed = result.interrupted or bool(result.failure), _is_harmed(records)
        if (ended_early and (stage.refits or not result.records)) or (harmed and stage.name == "main"):
            # What this stage learned is worth less than what was there.
            trainee.set_weights(kept)
        elif stage.is_result or harmed:
            kept, kept_stage = trainee.get_weights(), number
        if not stage.refits:
            validated, validated_stage = kept, kept_stage
        if ended_early:
            break
        if stage.name == "main" and harmed:
            _warn_of_harm(records, progress)
        elif stage.name == "main" and number + 1 < len(stages):
            _warn_of_overfitting(records, progress)
    best = best_of(records, stages[validated_stage].name)
    return Outcome(tuple(records), stages[kept_stage], validated, best, result.interrupted, result.failure)


def _unfitting(checkpoint: Path) -> TrainingError:
    reason = "it is damaged, or another version of activity wrote it"
    hint = "Start again with `overwrite`."
    return TrainingError(f"{checkpoint} does not fit this training: {reason}.", hint, code="training.checkpoint")


def _fits(resumed: Checkpoint, stages: Sequence[Stage], weights: Weights) -> bool:
    """Whether a state can be one of these stages and weights."""
    shapes = [one.shape for one in weights] if resumed.kept_stage >= 0 else []
    in_order = -1 <= resumed.kept_stage <= resumed.stage and 0 <= resumed.stage < len(stages)
    in_order = in_order and resumed.records[-1].stage == stages[resumed.stage].name
    return in_order and [one.shape for one in resumed.kept] == shapes


def _save(path: Path, now: Checkpoint, state: FitState) -> None:
    records = (*now.records, *state.records)
    write_checkpoint(path, replace(now, records=records, variables=state.variables, best=state.best))


def best_of(records: Sequence[EpochRecord], stage: str) -> EpochRecord | None:
    """The epoch of a stage with the lowest validation loss, or without validation clips the last one."""
    mine = [record for record in records if record.stage == stage]
    validated = [record for record in mine if math.isfinite(record.val_loss)]
    return min(validated, key=lambda record: record.val_loss) if validated else mine[-1] if mine else None


def _is_harmed(records: Sequence[EpochRecord]) -> bool:
    """Whether training the encoder made the network much worse on the validation clips than its warm-up was."""
    warmup, main = best_of(records, "warm-up"), best_of(records, "main")
    # False also without validation clips, whose loss is not a number.
    return bool(warmup and main and main.val_loss > _HARM * warmup.val_loss)


def _warn_of_harm(records: Sequence[EpochRecord], progress: Progress) -> None:
    warmup, main = best_of(records, "warm-up"), best_of(records, "main")
    assert warmup and main
    progress.warn(
        f"Training the encoder raised the lowest validation loss from {warmup.val_loss:.3g} to {main.val_loss:.3g}. "
        "The model keeps the original encoder. Try a lower --set encoder_learning_rate, or --mode frozen."
    )


def _warn_of_overfitting(records: Sequence[EpochRecord], progress: Progress) -> None:
    """A refit goes on to the last epoch, which the first training may have shown to be too far."""
    best, last = best_of(records, "main"), records[-1]
    assert best
    if last.val_loss > _OVERFITTED * best.val_loss:
        progress.warn(
            f"The validation loss was {best.val_loss:.3g} in epoch {best.epoch} and rose to {last.val_loss:.3g} in "
            f"epoch {last.epoch}. The refit runs all epochs, so it may overfit. Also try --set refit=false, or a lower "
            "--set learning_rate."
        )
