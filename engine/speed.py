"""Bench: speed, memory, size and quality of every form of a stored model on this machine, and which form is to answer.

Rounds go over the forms in turn, so that what else the machine does meets all of them; absolute numbers of a shared
machine mean little, the ratios hold. Memory is measured in a fresh process a form.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from engine import resources
from engine.data.rows import Row
from engine.errors import ExportError, InputError
from engine.evaluate.held_out import labelled
from engine.export import choice, forms
from engine.export.agreement import agreement
from engine.export.forms import FORMS, Form
from engine.export.roundtrip import main_figure
from engine.predictor import Predictor, Text
from engine.store import Store
from engine.tasks import kinds
from engine.tasks.heads import ModelSpec
from engine.tasks.kinds import Output

Outputs = dict[str, list[Output]]
Name = TypeVar("Name", bound=str)
HEADLINES = "data/finance/headlines.jsonl"
TIMED = 300
"""Texts of a round."""
ROUNDS = 3
SINGLE = 50
"""Texts a round that are timed one by one for the latency."""
WARM_UP = 16
PATIENCE = 600
"""Seconds that a fresh process may take to load a form and answer."""
MARGIN = 1.1
"""A form must be so much faster than the stored export to take its place: less may be the machine's mood."""
DISAGREEMENT = 0.02
"""Without labels, how far from full agreement with torch a form may be and still be chosen."""


@dataclass(frozen=True)
class Speed:
    """One form's figures."""

    form: Form
    texts_per_s: float
    p50_ms: float
    p99_ms: float
    """Latency of a single text, in milliseconds."""
    memory_mb: float
    """Growth of the resident memory of a fresh process that loads the form and answers some texts."""
    disk_mb: float
    quality: dict[str, float]
    """Head -> its main figure on the labelled rows; without them, how far its answers agree with torch's, 0 to 1."""
    lost: float
    """The most that a head loses against torch."""


@dataclass(frozen=True)
class Bench:
    """The forms of a version, and the one that `backend="auto"` means here."""

    version: str
    processor: str
    timed: int
    quality: str
    """What the quality is, and on what."""
    forms: list[Speed] = field(default_factory=list)
    auto: Form = "torch"


def measure(
    name: str,
    *,
    texts: str | None = None,
    data: str | None = None,
    settings: Sequence[str] = (),
    only: Sequence[str] = (),
    store: Store | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure the forms of a version, made into the cache where they are not there, and choose what answers here.

    Args:
        texts: a file with a text a line to be timed on.
        data: a labelled file for the quality, read by the version's recipe; timed on its texts when none are given.
        settings: changes to how the recipe reads `data`, as "data.columns.text=headline".
        only: the forms to measure; torch, which the others are compared with, is always among them. All by default.

    Raises:
        InputError: no such model, file or form; or the model reads pairs, which only `data` can give.
    """
    version = (store or Store()).get(name)
    folder = version.folder
    spec = ModelSpec.read(folder / "model")
    if spec.task == "generate":
        raise InputError(f"{version}: a model of task generate has one form; engine compare tells what it costs")
    if spec.pairs and data is None:
        raise InputError(f"{version}: reads pairs; give labelled ones with --data FILE")
    rows = labelled(folder, data, settings)[0] if data else []
    asked: list[Text] = [row.text if row.pair is None else (row.text, row.pair) for row in rows]
    given = lines(texts) if texts or not data else []
    shown: list[Text] = [*given, *asked][:TIMED]
    compared = asked or shown
    smoothed_on = given or [row.text for row in rows]
    predictors: dict[Form, Predictor] = {}
    for form in wanted(folder, only):
        stage(f"making {version} as {form}")
        forms.make(folder, form, smoothed_on)
        predictors[form] = Predictor.open(folder, backend=form, model=str(version))
    stage(f"timing {', '.join(predictors)}")
    rates, singles = timed(predictors, shown)
    stage("asking for the quality, and in fresh processes for the memory")
    said = {form: predictor.outputs(compared) for form, predictor in predictors.items()}
    found = []
    for form in predictors:
        quality, lost = _quality(predictors["torch"], rows, compared, said["torch"], said[form])
        p50, p99 = np.quantile(singles[form], [0.5, 0.99])
        rate = float(np.median(rates[form]))
        memory = _memory(folder, form, shown[:WARM_UP])
        size = forms.size(folder, form) / 1e6
        found.append(Speed(form, rate, float(p50), float(p99), memory, size, quality, lost))
    bound = version.manifest().get("export", {}).get("max_quality_loss", 0.0)
    auto = pick(found, allowed=float(bound) if rows else DISAGREEMENT)
    told = f"{_names(spec)} on {len(rows)} rows of {data}" if rows else (
        f"agreement with torch on {len(compared)} texts of {texts or HEADLINES}"
    )  # fmt: skip
    return Bench(str(version), choice.processor(), len(shown), told, found, auto)


def pick(found: Sequence[Speed], *, allowed: float) -> Form:
    """The fastest form that loses no more than allowed; the stored export, checked when it was stored, stays unless
    another is faster by more than the machine's mood."""
    fit = [row for row in found if row.lost <= allowed or row.form in ("torch", "onnx")]
    best = max(fit, key=lambda row: row.texts_per_s)
    stored = next((row for row in fit if row.form == "onnx"), best)
    return best.form if best.texts_per_s > MARGIN * stored.texts_per_s else stored.form


def wanted(folder: Path, only: Sequence[str]) -> list[Form]:
    """Torch and the forms asked for, or all that the version can have here.

    Raises:
        InputError: there is no such form, or not of this version or on this machine.
    """
    there = forms.possible(folder)
    for form in only:
        if form not in FORMS:
            raise InputError(f"{form}: no such form; choose among {', '.join(there)}")
    # A precision asked for by name that is the stored one is the stored one.
    asked: set[str] = {"onnx" if form == f"onnx-{forms.precision(folder)}" else form for form in only}
    if missing := asked - set(there):
        raise InputError(f"{', '.join(sorted(missing))}: not possible here; there are {', '.join(there)}")
    return [form for form in there if not only or form in asked or form == "torch"]


def lines(file: str | None) -> list[str]:
    """The lines of a file that hold text; without a file, some packaged headlines."""
    if file:
        given = resources.text(file).splitlines()
        if found := [line for line in given if line.strip()]:
            return found
        raise InputError(f"{file}: holds no text; give a file with one a line")
    packaged = resources.find(HEADLINES).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["title"] for line in packaged[:: max(1, len(packaged) // TIMED)]]


def latencies(predictor: Predictor, texts: Sequence[Text]) -> list[float]:
    """Milliseconds of each text, asked one at a time."""
    found = []
    for text in texts:
        start = time.perf_counter()
        predictor.predict([text])
        found.append(1000 * (time.perf_counter() - start))
    return found


def timed(predictors: Mapping[Name, Predictor], texts: Sequence[Text]) -> tuple[dict[Name, list[float]], ...]:
    """Texts a second of each round, and milliseconds of single texts, a predictor; the rounds go over all in turn."""
    rates: dict[Name, list[float]] = {name: [] for name in predictors}
    singles: dict[Name, list[float]] = {name: [] for name in predictors}
    for number in range(ROUNDS):
        for name, predictor in predictors.items():
            predictor.predict(texts[:WARM_UP])
            start = time.perf_counter()
            predictor.predict(texts)
            rates[name].append(len(texts) / (time.perf_counter() - start))
            for text in texts[number * SINGLE : (number + 1) * SINGLE] or texts[:SINGLE]:
                start = time.perf_counter()
                predictor.predict([text])
                singles[name].append(1000 * (time.perf_counter() - start))
    return rates, singles


def _quality(
    model: Predictor, rows: Sequence[Row], texts: Sequence[Text], exact: Outputs, said: Outputs
) -> tuple[dict[str, float], float]:
    """Quality of each head, and the most that one loses against the exact outputs."""
    found, lost = {}, 0.0
    for head in model.spec.heads:
        if rows:
            found[head.name] = main_figure(model, head, rows, said)[1]
            lost = max(lost, main_figure(model, head, rows, exact)[1] - found[head.name])
        else:
            found[head.name] = agreement(model, head, texts, exact[head.name], said[head.name])
            lost = max(lost, 1.0 - found[head.name])
    return found, lost


def _names(spec: ModelSpec) -> str:
    return ", ".join(f"{kinds.of(head.kind).main} of {head.name}" for head in spec.heads)


def _memory(folder: Path, form: Form, texts: Sequence[Text]) -> float:
    command = [sys.executable, "-m", "engine.speed", str(folder), form]
    given = json.dumps(texts)
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, encoding="utf-8", check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"{form} does not answer in a fresh process within {PATIENCE} seconds") from None
    if done.returncode:
        raise ExportError(f"{form} does not answer in a fresh process: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


def _grown(folder: Path, form: Form, texts: Sequence[Text]) -> float:
    """Megabytes by which this process grows when it loads the form and answers."""
    import psutil
    import tokenizers  # noqa: F401  (every form needs it)

    process = psutil.Process()
    before = process.memory_info().rss
    Predictor.open(folder, backend=form).predict(texts)
    return float(process.memory_info().rss - before) / 1e6


if __name__ == "__main__":
    given = [text if isinstance(text, str) else (text[0], text[1]) for text in json.load(sys.stdin)]
    sys.stdout.write(str(_grown(Path(sys.argv[1]), sys.argv[2], given)))  # type: ignore[arg-type]
