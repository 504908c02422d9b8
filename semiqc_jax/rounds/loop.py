"""The semi-supervised loop: stage 0 on the labelled set, then rounds of segment, judge, choose, retrain."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.splits import labelled_and_pool
from semiqc_jax.errors import ConfigError, Preempted
from semiqc_jax.files import read_json
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmenter
from semiqc_jax.progress import progress
from semiqc_jax.quality.rules import configure_rules
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.calibrating import calibrate_run, calibration_subjects
from semiqc_jax.rounds.curve_file import keep_curve_judge
from semiqc_jax.rounds.judge import Judge
from semiqc_jax.rounds.pool import Pool, choose, segment_pool
from semiqc_jax.rounds.run_folder import MetricsLog, claim, locked, write_status
from semiqc_jax.rounds.slice_judge import slice_judge_for
from semiqc_jax.rounds.sources import Canvas, Source, labelled_source, pseudo_source
from semiqc_jax.rounds.stage import Trainer
from semiqc_jax.settings import Settings, stage0_identity, with_defaults
from semiqc_jax.training.loop import Hooks, StopRequest, stop_on_sigterm
from semiqc_jax.training.step import TrainState


def run(settings: Settings, cohort: Cohort, folder: Path, make_judge: Any) -> None:
    """Run the loop, from wherever an earlier process left it; afterwards `status.json` says complete.

    Args:
        folder: the run's own folder; one process at a time.
        make_judge: () -> Judge, called where a selection needs one.

    Raises:
        Preempted: asked to stop by SIGTERM; everything is saved.
        ConfigError: the folder holds another run, or the settings do not fit the cohort.
    """
    devices = Devices.of(settings.mapping, settings.devices)
    candidates = [s.subject_id for s in cohort.subjects if s.has_label]
    labelled, pool = labelled_and_pool(cohort.splits, settings.labelled, settings.labelled_draw, candidates)
    splits = {**{name: list(ids) for name, ids in cohort.splits.items()}, "labelled": labelled, "pool": pool}
    if settings.selector != "none" and settings.rounds and not pool:
        raise ConfigError("no unlabelled subjects are left", "config.labelled", "label fewer, or selector none")
    trainer = Trainer(settings, cohort, devices)
    trainer.check()
    calibration_subjects(settings, cohort)
    quality = settings.quality
    configure_rules(checks_of(cohort.task.name), quality.off, quality.use_confidence, quality.rule_limits)
    if settings.select_by != "subject":
        slice_judge_for(settings, cohort.task.name)  # one that cannot be read is said now
    keep = [settings.stage_end(stage) for stage in range(settings.rounds + 1)]
    with locked(folder):
        claim(folder, settings, splits)
        keep_curve_judge(settings.quality, cohort, folder)
        with Checkpoints(folder / "checkpoints", keep) as checkpoints, stop_on_sigterm() as stop:
            _Loop(trainer, folder, make_judge, checkpoints, stop, labelled, pool).go()


class _Loop:
    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        make_judge: Any,
        checkpoints: Checkpoints,
        stop: StopRequest,
        labelled: list[str],
        pool: list[str],
    ):
        self.trainer, self.settings, self.cohort = trainer, trainer.settings, trainer.cohort
        self.folder, self.make_judge, self.checkpoints, self.stop = folder, make_judge, checkpoints, stop
        self.labelled = [self.cohort.index(i) for i in labelled]
        self.pool = tuple(self.cohort.index(i) for i in pool)
        reach = AUGMENTATIONS[self.settings.augmentation].reach_mm(trainer.grid)
        self.canvas = Canvas.of(self.cohort, reach, self.settings.model.window)
        self.judge: Judge | None = None
        self.segmenter: Segmenter | None = None

    def go(self) -> None:
        settings = self.settings
        done = self.checkpoints.latest() or 0
        if not done and settings.stage0_from:
            self._take_stage0()
            done = settings.updates
        first = 0 if done < settings.updates else 1 + (done - settings.updates) // settings.round_updates
        state = self.trainer.fresh()
        if done:
            state = self.checkpoints.restore_train(done, state)
        with MetricsLog(self.folder, done) as log:
            for stage in range(first, settings.rounds + 1):
                begin = settings.stage_end(stage - 1) if stage else 0
                write_status(self.folder, "running", stage, max(done, begin))
                sources = {"labelled": labelled_source(self.cohort, self.labelled, self.canvas)}
                if stage and settings.selector != "none":
                    sources["pseudo"] = self._pseudo(stage, state)
                if stage and done <= begin:
                    state = self.trainer.start_stage(stage, state.method)
                state = self._train(stage, begin, state, sources, log)
                done = begin + int(state.step)
        if settings.quality.calibrate != "none":
            last = settings.total_updates
            segmenter = self._segmenter_at(last, state)
            calibrate_run(self.folder, settings, self.cohort, segmenter, self.checkpoints.info(last)["sha256"])
        write_status(self.folder, "complete", settings.rounds, settings.total_updates)

    def _train(
        self, stage: int, begin: int, state: TrainState, sources: dict[str, Source], log: MetricsLog
    ) -> TrainState:
        settings = self.settings
        updates = settings.round_updates if stage else settings.updates
        title = f"round {stage}" if stage else "stage 0"
        with progress(f"{title}: training", updates, "updates", int(state.step)) as advance:
            hooks = Hooks(
                save=lambda step, s: self._save(stage, begin, step, s),
                log=lambda step, values: log.write(begin + step, stage, self._named(values)),
                advance=advance,
                stop=self.stop,
                save_every=settings.checkpoint_every,
                log_every=settings.log_every,
            )
            state = self.trainer.train(stage, state, sources, hooks)
        self._stop_if_asked(stage, begin + int(state.step))
        return state

    def _save(self, stage: int, begin: int, step: int, state: TrainState) -> None:
        self.trainer.save(self.checkpoints, stage, step, state)
        write_status(self.folder, "running", stage, begin + step)

    def _pseudo(self, stage: int, state: TrainState) -> Source:
        """Segment, judge and choose for a round, or go on from what is there."""
        pool = Pool(self.cohort, self.pool, self.folder / "rounds" / f"{stage:03d}")
        if not pool.is_whole:
            step = self.settings.stage_end(stage - 1)
            checkpoint = {"step": step, "sha256": self.checkpoints.info(step)["sha256"]}
            stop_if_asked = partial(self._stop_if_asked, stage, step)
            segment_pool(pool, partial(self._segmenter_at, step, state), {**checkpoint, "round": stage}, stop_if_asked)
            if self.judge is None:
                self.judge = self.make_judge()
            choose(pool, self.settings, stage, self.judge, checkpoint)
            self._stop_if_asked(stage, step)
        weight = pool.weight()
        return pseudo_source(self.cohort, pool.subjects, weight, pool.store, self.canvas)

    def _segmenter_at(self, step: int, state: TrainState) -> Segmenter:
        variables = self.checkpoints.restore_model(step, self.trainer.method(0).infer(state.method))
        if self.segmenter is None:
            model = self.trainer.model(variables)
            self.segmenter = Segmenter.of(model, self.trainer.devices, self.settings.inference_batch)
        return self.segmenter.with_variables(variables)

    def _take_stage0(self) -> None:
        """Take over the finished stage 0 of another run with the same settings."""
        settings, other = self.settings, Path(self.settings.stage0_from)
        theirs, ours = (
            stage0_identity(c) for c in (with_defaults(read_json(other / "config.json")), settings.to_dict())
        )
        different = [k for k in ours if theirs.get(k) != ours[k]]
        if different or read_json(other / "splits.json") != read_json(self.folder / "splits.json"):
            what = ", ".join(different) or "splits"
            raise ConfigError(f"its stage 0 differs in {what}", other, "name a run of the same settings, or none")
        with Checkpoints(other / "checkpoints", read_only=True) as checkpoints:
            if settings.updates not in checkpoints.steps():
                raise ConfigError("it has not finished stage 0", other, "wait for it, or train without stage0_from")
            state = checkpoints.restore_train(settings.updates, self.trainer.fresh())
        self.trainer.save(self.checkpoints, 0, settings.updates, state)

    def _named(self, values: dict[str, float]) -> dict[str, float]:
        """Metrics with class names in place of class codes."""
        classes = self.cohort.task.classes
        codes = {f"dice_{c}": f"dice_{name}" for c, name in enumerate(classes, start=1)}
        return {codes.get(k, k): v for k, v in values.items()}

    def _stop_if_asked(self, stage: int, step: int) -> None:
        if self.stop.asked and step < self.settings.total_updates:
            write_status(self.folder, "preempted", stage, step)
            raise Preempted(f"stopped at update {step}, state saved", self.folder, "run the same command again")
