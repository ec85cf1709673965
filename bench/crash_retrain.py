"""kill -9 at thirty random points each of a retrain, a promotion and a rollback: one valid champion, and it goes on.

A toy model, so that each run takes seconds; the commands are the real ones, in processes of their own. Two of three
points are before a random write, the third at a random moment.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contract import Figures
from engine import Predictor, Progress, Recipe, Store, train
from engine.base_models import resolve
from engine.feedback import Feedback, opened
from engine.resources import packaged
from engine.store import Version

KILLS = 30
NAME = "toy"
LABELS = ["negative", "neutral", "positive"]
LENIENT = (
    "--set",
    "gates.ask=[better, forgetting, size]",
    "--set",
    "gates.margin=0.9",
    "--set",
    "gates.forgetting=0.9",
)
"""A toy learns little: what is tried is the road, not the model."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "retrain": ("retrain", NAME, *LENIENT),
    "promote": ("models", "promote", f"{NAME}@2"),
    "rollback": ("models", "rollback", NAME),
}
CHILD = "import sys; from bench.crash_retrain import command; command(int(sys.argv[1]), sys.argv[2:])"
ASKED = ["Profit fell 12% on weak demand", "Sales rose", "The annual meeting is on Tuesday"]


def run(*, seeds: int) -> Figures:
    """`valid`: share of kills after which the champion is the old or the new one, whole, and answers as it did;
    `continued`: of those after which the same command ends the work."""
    found: list[Outcome] = []
    with Progress() as progress, tempfile.TemporaryDirectory() as place:
        progress.stage("making the toy")
        homes = templates(Path(place), toy_base(Path(place)))
        for way in COMMANDS:
            found += killed(way, homes[way], Path(place), KILLS, progress)
    figures = {
        f"{figure}_{way}": sum(getattr(one, figure) for one in found if one.way == way) / KILLS
        for way in COMMANDS
        for figure in ("valid", "continued")
    }
    whole = {figure: sum(getattr(one, figure) for one in found) / len(found) for figure in ("valid", "continued")}
    return Figures({**whole, **figures}, settings={"kills": len(found), "died": sum(one.died for one in found)})


@dataclass(frozen=True)
class Outcome:
    way: str
    died: bool
    """Before it ended by itself."""
    valid: bool
    continued: bool


def killed(way: str, template: Path, place: Path, count: int, progress: Progress) -> list[Outcome]:
    """Kill the command at random points, each time from the same state, and give it again."""
    counting = _copied(template, place / f"{way}-counted")
    started = time.monotonic()
    writes = int(_run(counting, way, -1).stderr.rpartition("writes: ")[2])
    seconds = time.monotonic() - started
    draw, found = random.Random(way), []
    for number in range(count):
        progress.stage(f"{way}: {number} of {count}, over {writes} writes and {seconds:.0f} s")
        home = _copied(template, place / f"{way}-{number}")
        by_time = number % 3 == 2
        process = _started(home, way, -1 if by_time else draw.randrange(writes))
        try:
            process.wait(draw.uniform(0, seconds) if by_time else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        valid = _valid(home, template)
        again = _run(home, way, -1)
        found.append(Outcome(way, process.returncode != 0, valid, _ended(way, home, again) and _valid(home, template)))
        shutil.rmtree(home)
    return found


def _valid(home: Path, template: Path) -> bool:
    """One champion, every version whole, and what answers is what answered as this version before."""
    store = Store(home / "models")
    if [fault for version in store.versions(NAME) for fault in store.verify(version)]:
        return False
    champion = store.get(NAME)
    before = template / "models" / NAME / str(champion.number)
    if not before.is_dir():  # made by this very retrain
        return champion.number == 2
    return _answers(champion.folder) == _answers(before)


def _answers(folder: Path) -> bytes:
    return Predictor.open(folder).probabilities(ASKED)["sentiment"].tobytes()


def _ended(way: str, home: Path, again: subprocess.CompletedProcess[str]) -> bool:
    """Whether the work is done, once."""
    numbers = [change.number for change in Store(home / "models").changes(NAME)]
    if way == "promote":
        return again.returncode == 0 and numbers == [1, 2]
    if way == "rollback":  # once done, a second one finds no champion before the first
        return numbers == [1, 2, 1]
    decided = [path.name for path in (home / "decisions" / NAME).iterdir() if path.name != ".lock"]
    done_before = again.returncode == 2 and "no feedback to learn from" in again.stderr
    versions = len(Store(home / "models").versions(NAME))
    return (again.returncode == 0 or done_before) and numbers == [1, 2] and versions == 2 and len(decided) == 1


def _copied(template: Path, home: Path) -> Path:
    shutil.copytree(template, home)
    return home


def _started(home: Path, way: str, point: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CHILD, str(point), *COMMANDS[way]]
    return subprocess.Popen(
        words, env=_environment(home), text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _run(home: Path, way: str, point: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", CHILD, str(point), *COMMANDS[way]]
    return subprocess.run(words, env=_environment(home), text=True, capture_output=True, check=False)


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "KEEL_HOME": str(home), "KEEL_DATABASE": f"sqlite:///{home}/keel.db"}


def command(point: int, words: Sequence[str]) -> None:
    """What each process does: `engine` with these words, killed before its write number `point` into Keel's home."""
    from engine import errors
    from engine.cli import app

    home, done = os.environ["KEEL_HOME"], 0

    def counted(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        writes = event in ("os.rename", "os.remove", "os.mkdir") or (event == "open" and "r" not in str(arguments[1]))
        if writes and str(arguments[0]).startswith(home):
            if done == point:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1

    sys.addaudithook(counted)
    try:
        errors.run(lambda: app(list(words)))
    finally:
        sys.stderr.write(f"writes: {done}")


def toy_base(place: Path) -> Path:
    """A BERT of width 16 with random weights, with the words of minilm."""
    import torch
    import transformers

    folder = place / "base"
    tokenizer = transformers.AutoTokenizer.from_pretrained(resolve("minilm").folder)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def templates(place: Path, base: Path) -> dict[str, Path]:
    """A home for each command: before a retrain, and with a second version before and after it was promoted."""
    file = packaged() / "data" / "finance" / "headlines.jsonl"
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    english = [item for item in items if item["lang"] == "en"][::9]
    rows = place / "rows.jsonl"
    rows.write_text("".join(json.dumps(item) + "\n" for item in english[:200]), encoding="utf-8")
    recipe = Recipe.parse(
        {
            "name": NAME,
            "base": str(base),
            "task": {"kind": "classify", "heads": {"sentiment": {"labels": LABELS}}},
            "data": {"train": str(rows), "columns": {"text": "title"}, "on_leak": "drop"},
            "tuning": {"epochs": 1, "max_length": 48},
            "export": {"precision": "fp32", "max_quality_loss": 1.0},
            "track": [],
        }
    )
    homes = {way: place / f"home-{way}" for way in COMMANDS}
    store = Store(homes["retrain"] / "models")
    store.promote(_trained(recipe, store))
    log = opened(f"sqlite:///{homes['retrain']}/keel.db")
    with log.database.write() as connection:
        for item in english[200:240]:
            for rater in ("ann", "bob"):
                log.add(connection, _label(item, rater))
    log.database.close()
    shutil.copytree(homes["retrain"], homes["promote"])
    _trained(recipe.changed({"seeds": [14]}), Store(homes["promote"] / "models"))
    shutil.copytree(homes["promote"], homes["rollback"])
    second = Store(homes["rollback"] / "models")
    second.promote(second.get(f"{NAME}@2"))
    return homes


def _trained(recipe: Recipe, store: Store) -> Version:
    return train(recipe, store=store).version


def _label(item: dict[str, Any], rater: str) -> Feedback:
    return Feedback(
        "shop", f"{NAME}@1", item["id"], item["title"], {}, correction={"sentiment": item["sentiment"]},
        app="console", kind="label", rater=rater, consent=True,
    )  # fmt: skip
