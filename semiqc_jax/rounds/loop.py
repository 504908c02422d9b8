"""The semi-supervised loop: stage 0 on the labelled set, then rounds of segment, judge, choose, retrain."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.splits import labelled_and_pool
from semiqc_jax.errors import ConfigError, Preempted
from semiqc_jax.files import read_json
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmenter
from semiqc_jax.progress import progress
from semiqc_jax.rounds.calibrating import calibrate_run, calibration_subjects
from semiqc_jax.rounds.curve_file import keep_curve_judge
from semiqc_jax.rounds.halves import pool_halves
from semiqc_jax.rounds.judge import Judge
from semiqc_jax.rounds.judging import check_judges
from semiqc_jax.rounds.learner import Learner, open_learners
from semiqc_jax.rounds.pool import Pool, choose
from semiqc_jax.rounds.run_folder import MetricsLog, claim, locked, write_status
from semiqc_jax.rounds.segmenting import Part, segment_pool
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
    members = [cohort.index(i) for i in pool]
    halves = pool_halves(cohort, members, settings.seed) if settings.cross_fit else ()
    trainer = Trainer(settings, cohort, devices)
    trainer.check()
    calibration_subjects(settings, cohort)
    check_judges(settings, cohort, folder)
    keep = [settings.stage_end(stage) for stage in range(settings.rounds + 1)]
    with locked(folder):
        claim(folder, settings, splits)
        keep_curve_judge(settings.quality, cohort, folder)
        with open_learners(folder, members, halves, keep) as learners, stop_on_sigterm() as stop:
            _Loop(trainer, folder, make_judge, learners, stop, labelled).go()


class _Loop:
    """The stages of a run. In each the networks of halves train before the run's own: when that is done, all is."""

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        make_judge: Any,
        learners: tuple[Learner, ...],
        stop: StopRequest,
        labelled: list[str],
    ):
        self.trainer, self.settings, self.cohort = trainer, trainer.settings, trainer.cohort
        self.folder, self.make_judge, self.stop = folder, make_judge, stop
        self.own, *self.of_halves = learners
        self.labelled = [self.cohort.index(i) for i in labelled]
        reach = AUGMENTATIONS[self.settings.augmentation].reach_mm(trainer.grid)
        self.canvas = Canvas.of(self.cohort, reach, self.settings.model.window)
        self.fresh = trainer.fresh()
        self.judge: Judge | None = None
        self.segmenter: Segmenter | None = None

    def go(self) -> None:
        settings = self.settings
        if not self.own.done and settings.stage0_from:
            self._take_stage0()
        done, last = self.own.done, settings.total_updates
        first = 0 if done < settings.updates else 1 + (done - settings.updates) // settings.round_updates
        for stage in range(first, settings.rounds + 1):
            self._write_status("running", stage)
            self._forget(self._begin(stage))
            labelled = labelled_source(self.cohort, self.labelled, self.canvas)
            pool = self._chosen(stage) if stage and settings.selector != "none" else None
            learners = [*self.of_halves, self.own] if 0 < stage < settings.rounds else [self.own]
            sources = [self._sources(learner, labelled, pool) for learner in learners]
            for learner, its_own in zip(learners, sources, strict=True):
                self._train(learner, stage, its_own)
        self._forget(last)
        if settings.quality.calibrate != "none":
            segmenter, sha256 = self._segmenter_at(self.own, last), self.own.checkpoints.info(last)["sha256"]
            calibrate_run(self.folder, settings, self.cohort, segmenter, sha256)
        self._write_status("complete", settings.rounds)

    def _begin(self, stage: int) -> int:
        return self.settings.stage_end(stage - 1) if stage else 0

    def _forget(self, before: int) -> None:
        """Remove what nobody needs any more of the networks of halves."""
        for learner in self.of_halves:
            learner.checkpoints.forget(before)

    def _chosen(self, stage: int) -> Pool:
        """The pool of a round, segmented, judged and chosen from, as far as that is not done yet."""
        pool = Pool(self.cohort, self.own.pool, self.folder / "rounds" / f"{stage:03d}")
        if not pool.is_whole:
            parts, stop_if_asked = self._parts(stage), partial(self._stop_if_asked, stage)
            segment_pool(pool, parts, stop_if_asked)
            if self.judge is None:
                self.judge = self.make_judge()
            halves = [
                {**part.provenance, "subjects": [self.cohort.subjects[i].subject_id for i in part.subjects]}
                for part in parts
                if "half" in part.provenance
            ]
            checkpoint = _checkpoint(self.own, self._begin(stage))
            choose(pool, self.settings, stage, self.judge, checkpoint, halves)
            stop_if_asked()
        return pool

    def _parts(self, stage: int) -> list[Part]:
        """Who segments whom: the run's own network; from round 2 on each half's the other half's subjects."""
        begin = self._begin(stage)
        if not self.of_halves:
            provenance = {**_checkpoint(self.own, begin), "round": stage}
            return [Part(self.own.pool, provenance, partial(self._segmenter_at, self.own, begin))]
        parts = []
        for learner, other in zip(self.of_halves, reversed(self.of_halves), strict=True):
            by = other if stage > 1 else self.own
            provenance = {**_checkpoint(by, begin), "round": stage, "half": learner.half, "learned_from": by.half}
            parts.append(Part(learner.pool, provenance, partial(self._segmenter_at, by, begin)))
        return parts

    def _sources(self, learner: Learner, labelled: Source, pool: Pool | None) -> dict[str, Source]:
        """What a network learns from in a stage: the labelled set, and what was chosen of its part of the pool.

        Where nothing was, the network of a half learns from the labelled set alone.
        """
        sources = {"labelled": labelled}
        if pool:
            weight = pool.weight() * np.isin(pool.subjects, learner.pool)[:, None, None]
            if learner is self.own or weight.any():
                sources["pseudo"] = pseudo_source(self.cohort, pool.subjects, weight, pool.store, self.canvas)
        return sources

    def _train(self, learner: Learner, stage: int, sources: dict[str, Source]) -> None:
        """Train what is left of a stage."""
        settings, begin = self.settings, self._begin(stage)
        if learner.done >= settings.stage_end(stage):
            return
        updates = settings.round_updates if stage else settings.updates
        state = self._state(learner, stage)
        title = f"round {stage}: training" if stage else "stage 0: training"
        of_half = f", half {learner.half} of {len(self.of_halves)}" if learner.half else ""
        bar = progress(title + of_half, updates, "updates", int(state.step))
        with MetricsLog(learner.folder, learner.done) as log, bar as advance:
            hooks = Hooks(
                save=lambda step, s: self._save(learner, stage, step, s),
                log=lambda step, values: log.write(begin + step, stage, self._named(values)),
                advance=advance,
                stop=self.stop,
                save_every=settings.checkpoint_every,
                log_every=settings.log_every,
            )
            self.trainer.train(stage, state, sources, hooks)
        self._stop_if_asked(stage)

    def _state(self, learner: Learner, stage: int) -> TrainState:
        """Where a network goes on in a stage; a stage begins with the weights of the one before, 0 is shared by all."""
        begin = self._begin(stage)
        if learner.done > begin:
            return learner.checkpoints.restore_train(learner.done, self.fresh)
        if not stage:
            return self.fresh
        before = learner if stage > 1 else self.own
        return self.trainer.start_stage(stage, before.checkpoints.restore_train(begin, self.fresh).method)

    def _save(self, learner: Learner, stage: int, step: int, state: TrainState) -> None:
        self.trainer.save(learner.checkpoints, stage, step, state)
        self._write_status("running", stage)

    def _segmenter_at(self, learner: Learner, step: int) -> Segmenter:
        variables = learner.checkpoints.restore_model(step, self.trainer.method().infer(self.fresh.method))
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
            state = checkpoints.restore_train(settings.updates, self.fresh)
        self.trainer.save(self.own.checkpoints, 0, settings.updates, state)

    def _named(self, values: dict[str, float]) -> dict[str, float]:
        """Metrics with class names in place of class codes."""
        classes = self.cohort.task.classes
        codes = {f"dice_{c}": f"dice_{name}" for c, name in enumerate(classes, start=1)}
        return {codes.get(k, k): v for k, v in values.items()}

    def _write_status(self, state: str, stage: int) -> None:
        write_status(self.folder, state, stage, self.own.done)

    def _stop_if_asked(self, stage: int) -> None:
        if self.stop.asked and self.own.done < self.settings.total_updates:
            self._write_status("preempted", stage)
            what = f"stopped at update {self.own.done}, state saved"
            raise Preempted(what, self.folder, "run the same command again")


def _checkpoint(learner: Learner, step: int) -> dict[str, Any]:
    return {"step": step, "sha256": learner.checkpoints.info(step)["sha256"]}
