"""Evaluation of a run on images it never saw: JSON for machines, a page and pictures for people."""

import json
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenspinn.data.info import DatasetInfo
from lenspinn.data.limit import CLASSIFIERS, read_limit
from lenspinn.data.provenance import portable_command, provenance
from lenspinn.device import best_device
from lenspinn.errors import ConfigError
from lenspinn.evaluate.chance import chance_sentence
from lenspinn.evaluate.conformal import check_coverage
from lenspinn.evaluate.figures import (
    confusion_figure,
    learning_figure,
    limit_figure,
    reliability_figure,
    roc_figure,
)
from lenspinn.evaluate.image_set import (
    ImageSet,
    all_images,
    calibration_for,
    how_to_calibrate,
    own_test_images,
)
from lenspinn.evaluate.judgement import (
    FALSE_ALARMS,
    Calibration,
    Judgement,
)
from lenspinn.evaluate.lens import (
    OF_A_FIT,
    OF_AN_ENCODER,
    OF_CLASSES_ALONE,
    SCORES,
    einstein_radii,
    lens_lines,
    lens_metrics,
)
from lenspinn.evaluate.metrics import classification_metrics, trust_metrics
from lenspinn.evaluate.predictions import write_predictions
from lenspinn.evaluate.quantities import (
    predicted_quantities,
    quantities_figure,
    quantity_lines,
    quantity_metrics,
)
from lenspinn.evaluate.record import learning_record
from lenspinn.evaluate.run_outputs import check_workers, run_outputs
from lenspinn.evaluate.temperature import scaled_probabilities
from lenspinn.path_arguments import takes_paths
from lenspinn.train import Run, best_row, load_run
from lenspinn.train.manifest import write_manifest

SCHEMA_VERSION = 1
DEFAULT_COVERAGE = 0.9


@takes_paths
def evaluate_run(
    run: Path | str,
    *,
    data: Path | None = None,
    limit: Path | None = None,
    out: Path | None = None,
    calibrate_on: Path | None = None,
    coverage: float = DEFAULT_COVERAGE,
    workers: int = 0,
    progress: bool = True,
) -> Path:
    """Measure a trained network, with 95 % intervals, a report and figures; calibrate its answers.

    On the run's own dataset, temperature, prediction sets and the reference for images unlike it
    are fitted to the validation images and written to ``calibration`` in the run folder, where
    `lenspinn apply` finds them; see `lenspinn.evaluate.judgement`. They are then measured on the
    test images, which choose nothing. On another dataset those in the run folder are measured,
    unless `calibrate_on` asks for new ones. An accuracy whose interval is not above that of
    guessing gives a warning, and so does a run that is left without a calibration.

    Parameters
    ----------
    run
        Run folder of `train_model`, finished, or name of a trained network; see
        `lenspinn.load_run`. Nothing is written into the folder of the latter.
    data
        Dataset to measure on, as a whole; by default the test images of the run's own dataset,
        which training never looked at.
    limit
        ``limit.json`` that `lenspinn limit` wrote for the recipe of the images: the accuracy of the
        best classifiers is then put beside that of the network.
    out
        Folder for the results; ``evaluation`` in the run folder by default, and
        ``evaluation_<dataset>`` for another dataset. Of a network given by its name, where you
        work.
    calibrate_on
        Dataset to calibrate on, as a whole, in the place of the validation images: of thousands of
        images, which also did not choose the weights, temperature and thresholds scatter less.
    coverage
        Share of prediction sets that shall hold the true class.
    workers
        Processes of one thread that share the images; any number gives the same bytes. 0 for this
        process, which uses a GPU if there is one. Networks that fit lenses gain from them on a CPU.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Path
        The report, ``report.md``. Beside it lie ``evaluation.json`` (the date aside, the same for
        every evaluation of the same run), ``predictions.npz`` for `lenspinn compare`, ``roc.png``,
        ``confusion.png``, ``learning.png`` and ``reliability.png``, with a limit ``limit.png``, and
        of a network that predicts quantities ``quantities.png``.

    Raises
    ------
    ConfigError
        The folder holds no finished run.
    DataError
        A dataset is missing, does not fit the model, or holds images the run was trained on;
        if the one to calibrate on has fewer than 240 images, or those that are measured; if the
        limit is that of other images, or the coverage is not between 0 and 1.
    """
    check_coverage(coverage)
    check_workers(workers)
    trained = load_run(run)
    trained.model.to(best_device())
    test = own_test_images(trained) if data is None else all_images(trained, data)
    best = None if limit is None else read_limit(limit, test.store.info)
    if out is None:
        out = trained.results / ("evaluation" if data is None else f"evaluation_{data.stem}")
    replaced = test.own or calibrate_on is not None or out == trained.folder / "evaluation"
    if replaced and trained.by_name:
        raise ConfigError(
            f"the calibration of {run} is not replaced where it was installed: copy the folder "
            f"{trained.folder} and give the copy"
        )
    if replaced:  # not listed until all is written
        write_manifest(trained.folder, measured=False)
    calibration = calibration_for(trained, test, calibrate_on, coverage, workers)
    outputs = run_outputs(trained, test.store, test.indices, workers=workers, progress=progress)
    probabilities = scaled_probabilities(outputs.logits)
    judgement = None if calibration is None else calibration.judge(outputs, coverage)
    classes = trained.model.classes
    metrics = classification_metrics(probabilities, test.labels, classes, seed=trained.config.seed)
    out.mkdir(parents=True, exist_ok=True)
    command = _command(run, data, limit, calibrate_on, coverage)
    record = learning_record(
        trained,
        best_row(trained.history),
        metrics,
        protocol=test.protocol,
        recipe=test.store.info.recipe,
    )
    record |= _trust_record(calibration, judgement, test.labels, trained)
    radii = einstein_radii(outputs, test.store, test.indices)
    if radii is not None:
        record |= lens_metrics(radii, test.labels, classes, seed=trained.config.seed)
    found = predicted_quantities(trained.model, outputs, test.store, test.indices, radii)
    if found:
        record["quantities"] = [one.name for one in found]
        record |= quantity_metrics(found, test.labels, classes, seed=trained.config.seed)
        _save(quantities_figure(found, test.labels, classes), out / "quantities.png")
    if best is not None:
        record |= best.here
        _save(limit_figure(best, record), out / "limit.png")
    _write_json(command, trained, record, out / "evaluation.json")
    write_predictions(test, probabilities, classes, out)
    confusion = np.array(metrics["confusion"])
    _save(roc_figure(probabilities, test.labels, classes), out / "roc.png")
    _save(confusion_figure(confusion, classes), out / "confusion.png")
    calibrated = None if judgement is None else judgement.probabilities
    _save(reliability_figure(probabilities, test.labels, calibrated), out / "reliability.png")
    _save(learning_figure(trained.history, best_row(trained.history)), out / "learning.png")
    report = out / "report.md"
    report.write_text(_markdown(command, trained, test, record))
    if replaced:
        write_manifest(trained.folder)
    if not record["above_chance"]:
        warnings.warn(chance_sentence(record), stacklevel=2)
    if calibration is None:
        warnings.warn(f"not calibrated: {how_to_calibrate(trained)}", stacklevel=2)
    return report


def _command(
    run: Path | str,
    data: Path | None,
    limit: Path | None,
    calibrate_on: Path | None,
    coverage: float,
) -> str:
    options = {"data": data, "limit": limit, "calibrate_on": calibrate_on}
    given = [f" --{name} {path}" for name, path in options.items() if path is not None]
    command = f"lenspinn evaluate {run}" + "".join(given)
    command += f" --coverage {coverage:g}" if coverage != DEFAULT_COVERAGE else ""
    return portable_command(command)


def _trust_record(
    calibration: Calibration | None,
    judgement: Judgement | None,
    labels: np.ndarray,
    run: Run,
) -> dict[str, Any]:
    if calibration is None or judgement is None:
        return {"calibrated": False}
    return {
        "calibrated": True,
        "temperature": calibration.temperature,
        "n_calibration": calibration.num_images,
        "calibration_chose_weights": calibration.chose_weights,
        "coverage": judgement.coverage,
        **trust_metrics(
            judgement.probabilities,
            judgement.possible,
            judgement.refused,
            labels,
            run.model.classes,
            seed=run.config.seed,
        ),
    }


def _write_json(command: str, run: Run, record: dict[str, Any], path: Path) -> None:
    result = {
        "schema": SCHEMA_VERSION,
        "command": command,
        "config": run.settings,
        **provenance(),
        "trained_with": run.provenance,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "records": [record],
    }
    path.write_text(json.dumps(result, indent=2) + "\n")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)


def _markdown(command: str, run: Run, test: ImageSet, record: dict[str, Any]) -> str:
    scores = ["accuracy", "micro_f1", "macro_f1", "auc_micro", "ece"]
    figures = ["roc", "confusion", "learning", "reliability"]
    known = [name for name in CLASSIFIERS if name in record]
    scores[1:1] = known
    if known:
        figures.append("limit")
    classes = [
        f"| {name} | {sum(record['confusion'][index])} | {_cell(record, f'f1_{name}')} "
        f"| {_cell(record, f'auc_{name}')} |"
        for index, name in enumerate(run.model.classes)
    ]
    return "\n".join(
        [
            f"# {record['model']} on {record['n_test']:,} images of `{record['recipe']}`",
            "",
            *_facts(run, test.store.info, record),
            f"- **Command**: `{command}`",
            "",
            "| score | value | 95 % interval |",
            "|---|---|---|",
            *(f"| {name} | {_cell(record, name, ' | ')} |" for name in scores),
            "",
            "| class | images | F1 | AUC against the rest |",
            "|---|---|---|---|",
            *classes,
            "",
            f"Against guessing: {chance_sentence(record)}.",
            "",
            _footnote(record),
            "",
            *_trust(run, record),
            "",
            *_lens(run, record),
            *_quantities(run, record),
            *(f"![{name}]({name}.png)" for name in figures),
            "",
        ]
    )


def _facts(run: Run, info: DatasetInfo, record: dict[str, Any]) -> list[str]:
    chosen, last = best_row(run.history), run.history[-1]
    noise = (
        "They are noise-free, so the scores say nothing about images of a telescope."
        if info.noise_sigma == 0
        else f"Their background noise is {info.noise_sigma:.4g} {info.unit} (1 sigma)."
    )
    images = "fresh" if run.config.streams else f"{record['n_train']:,}"
    passes = "one pass: a short run" if run.config.epochs == 1 else f"{run.config.epochs} epochs"
    return [
        f"- **Measured on**: {record['protocol']}. {noise}",
        f"- **Trained on**: {images} images of `{record['trained_on']}`, {passes} "
        f"({int(last['images_seen']):,} images seen in {record['seconds']:,.0f} s).",
        f"- **Weights**: those after {record['images_seen']:,} images seen (epoch "
        f"{chosen['epoch']:.4g}), which scored best on {len(run.split['validation']):,} validation "
        "images; the test images chose nothing.",
        f"- **Network**: {record['parameters']:,} parameters, input transform "
        f"`{record['input']}`, seed {record['seed']}.",
    ]


def _trust(run: Run, record: dict[str, Any]) -> list[str]:
    """Return the lines on calibrated probabilities, prediction sets and refusals."""
    lines = ["## Answers with their uncertainty", ""]
    if not record["calibrated"]:
        return [
            *lines,
            f"Not calibrated, so that no answer of it can be trusted: "
            f"{how_to_calibrate(run, run.folder.name)}.",
        ]
    names = ["ece", "ece_calibrated", "set_coverage", "set_size", "refused"]
    names[3:3] = [f"set_coverage_{name}" for name in run.model.classes]
    images, bias = "images that chose nothing else", ""
    if record["calibration_chose_weights"]:
        images = "validation images of the run"
        bias = "They also chose the epoch of the weights, which fits them slightly too well. "
    return [
        *lines,
        "| score | value | 95 % interval |",
        "|---|---|---|",
        *(f"| {name} | {_cell(record, name, ' | ')} |" for name in names),
        "",
        f"Probabilities are calibrated with the temperature {record['temperature']:.3f}. Sets of "
        f"classes are meant to hold the true one for {record['coverage']:.0%} of the images of "
        f"each class, and at most {FALSE_ALARMS:.0%} of images like those of calibration to be "
        f"refused as unlike them. All was fitted to {record['n_calibration']:,} {images}: the "
        f"temperature to all, the reference to half; the others are ranked among. {bias}The most "
        "probable class is in every set: coverage is at least the accuracy.",
    ]


def _lens(run: Run, record: dict[str, Any]) -> list[str]:
    """Return the lines on Einstein radii, for a network that gives them."""
    scores = [name for name in SCORES if name in record]
    if not scores:
        return []
    note = OF_AN_ENCODER if run.model.measures_theta_E else OF_CLASSES_ALONE
    if SCORES[-1] in scores:
        note = OF_A_FIT
    return lens_lines(lambda name: _cell(record, name), run.model.classes, scores, note)


def _quantities(run: Run, record: dict[str, Any]) -> list[str]:
    """Return the lines on predicted quantities, for a network that predicts any."""
    if "quantities" not in record:
        return []
    return quantity_lines(record, lambda name: _cell(record, name), run.model.classes)


def _footnote(record: dict[str, Any]) -> str:
    text = (
        "Intervals are percentiles of 1,000 bootstrap resamples of the test images; they do not "
        "contain the scatter between training seeds. Micro-F1 equals accuracy where each image "
        "has one class. ECE is the expected calibration error of the highest probability in 15 "
        "bins of equal width; its interval lies high, for resampling can only add to it."
    )
    if "ideal_accuracy" in record:
        text += (
            " `ideal_accuracy` is that of a classifier which is told what substructure each class "
            "would have in an image and only has to say which of them is there: an upper bound for "
            "whoever does not know the smooth lens beforehand."
        )
    if "searching_accuracy" in record:
        text += (
            " `searching_accuracy` is that of one which must search for the subhalos, knowing how "
            "many there are on average of each mass."
        )
    if record["accuracy"] == 1:
        bound = 3 / record["n_test"]
        text += f" Without a single error, the error rate may still be {bound:.2g} (95 %)."
    return text


def _cell(record: dict[str, Any], name: str, between: str = " ") -> str:
    if record[name] is None:
        return f"undefined{between}"
    low, high = record[f"{name}_low"], record[f"{name}_high"]
    return f"{record[name]:.4f}{between}({low:.4f} to {high:.4f})"
