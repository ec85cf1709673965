"""`finance-monitor explain` and `finance-monitor verify`: why an alert fired, and whether it holds."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.finance_monitor import options
from engine import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apps.finance_monitor.feeds.source import Source
    from apps.finance_monitor.labels import Labelled
    from apps.finance_monitor.replay import Replay, Settings
    from apps.finance_monitor.run import Models
    from apps.finance_monitor.verification import Verdict
    from apps.finance_monitor.watchlist import WatchList
    from engine import Progress
    from engine.explain import Explanation

Companies = Annotated[Path | None, typer.Option(help="The watch list of that run, if it is no longer where it was.")]
Budget = Annotated[
    float | None, typer.Option(min=1e-6, max=96, help="The budget of false alarms, if not that of the alert's run.")
]
Lateness = Annotated[
    float | None,
    typer.Option(min=0, help="Minutes that late items are waited for, if not as in the alert's run."),
]
State = Annotated[str | None, typer.Option(help="The state of the run that raised it, a file or a database's URL.")]
Only = Annotated[str | None, typer.Option("--id", help="One alert of a log.")]
Calendar = Annotated[
    str | None, typer.Option(help="The country whose holidays are Sundays, if not as in the alert's run.")
]
Notices = Annotated[
    bool | None, typer.Option("--notices/--no-notices", help="Volume and drift told of as well, if not as in that run.")
]


def add(app: typer.Typer) -> None:
    """Put these commands into finance-monitor's."""
    app.command()(explain)
    app.command()(verify)


def explain(
    alert: Annotated[str, typer.Argument(help="An alert's id in the state, or a file with the alert.")],
    state: State = None,
    only: Only = None,
    false_alarms_per_day: Budget = None,
    lateness: Lateness = None,
    companies: Companies = None,
    calendar: Calendar = None,
    notices: Notices = None,
    as_json: options.Json = False,
) -> None:
    """The fewest stories without which an alert would not have fired, and the words that made its worst news negative.

    Example: finance-monitor explain 3f1c2a9b8d7e6f50 --state monitor.db
    """
    from apps.finance_monitor import explanation, journal, verification
    from engine import Progress, Store, load
    from engine.explain import Explainer

    told = _one(alert, state, only)
    settings = _Given(false_alarms_per_day, lateness, companies, calendar, notices).beside(told, state=True)
    with Progress(quiet=as_json) as progress:
        progress.stage(f"explaining {told['id']}")
        explainer = Explainer(load(verification.check_model(told["model"], Store())))
        document: dict[str, Any] = {"id": told["id"], "key": told["key"], "decisive": None}
        if state:
            from apps.finance_monitor.replay import replay

            items = journal.recorded_in(state)
            seen = replay(items, settings, told["model"], told.get("settings"))
            if told["id"] not in seen.alerts:
                raise errors.InputError(
                    f"--state {state}: its news raises no alert {told['id']} with these settings; give the "
                    "--false-alarms-per-day, --lateness, --companies, --calendar and --notices of the run"
                )
            document["decisive"] = _decisive(told["id"], items, seen, settings)
        words = explanation.worst(_titles(told), explainer)
    if as_json:
        options.print_json({**document, "words": [asdict(one) for one in words]})
        return
    _show_explanation(told, document["decisive"], words)
    if state is None:
        typer.echo("For the stories that decided it, give --state, or use: finance-monitor verify")


def verify(
    alerts: Annotated[Path, typer.Argument(help="An alert's JSON, or a log of alerts.")],
    feed: Annotated[list[str], typer.Option(help="The news that it came of, again for each feed.")],
    state: State = None,
    only: Only = None,
    explained: Annotated[bool, typer.Option("--explain/--no-explain", help="Say why each alert fired.")] = True,
    false_alarms_per_day: Budget = None,
    lateness: Lateness = None,
    companies: Companies = None,
    calendar: Calendar = None,
    notices: Notices = None,
    as_json: options.Json = False,
) -> None:
    """Read the news again with the model that an alert names, and hold each field against what comes of it.

    Exit 0: all is equal; 1: something differs. With --state, news that it holds unchanged keeps the labels that it was
    given then, since those of a run under load may be the cheap model's.

    Example: finance-monitor verify alerts.jsonl --feed data/finance/news.jsonl
    """
    from apps.finance_monitor import journal, verification
    from apps.finance_monitor.feeds import named
    from engine import Progress

    told = verification.read(alerts, only=only)
    given = _Given(false_alarms_per_day, lateness, companies, calendar, notices)
    sources = [named(one) for one in feed]
    with Progress(quiet=as_json) as progress:
        known = journal.recorded_in(state) if state else []
        found = [
            one
            for _, alike in itertools.groupby(sorted(told, key=_run), _run)
            for one in _checked(list(alike), sources, known, given, explained, progress, state=state is not None)
        ]
    holds = all(one.verdict.holds for one in found)
    if as_json:
        options.print_json({"verified": holds, "alerts": [one.document() for one in found]})
    else:
        for one in found:
            _show_verdict(one)
        typer.echo(f"{sum(one.verdict.holds for one in found)} of {len(found)} alerts verified")
        if not holds:
            typer.echo("An alert of an older version carries no settings: give those of its run as options.")
    if not holds:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Checked:
    """An alert that was verified, and why it fired.

    Attributes:
        items: of the news that was read.
        anew: those of them that the model labelled, the others' labels being the state's.
    """

    verdict: Verdict
    items: int
    anew: int
    decisive: dict[str, Any] | None
    words: list[Explanation]

    def document(self) -> dict[str, Any]:
        told = self.verdict.told
        return {
            "id": told["id"],
            "key": told["key"],
            "verified": self.verdict.holds,
            "model": told["model"],
            "items": self.items,
            "labelled_anew": self.anew,
            "compared": self.verdict.compared,
            "differences": [asdict(one) for one in self.verdict.differences],
            "decisive": self.decisive,
            "words": [asdict(one) for one in self.words],
        }


def _checked(
    told: Sequence[Mapping[str, Any]],
    sources: Sequence[Source],
    known: Sequence[Labelled],
    given: _Given,
    explained: bool,
    progress: Progress,
    *,
    state: bool,
) -> list[_Checked]:
    """Alerts of the same models and settings, verified."""
    from apps.finance_monitor import explanation, run, verification
    from apps.finance_monitor.replay import replay
    from engine import Store
    from engine.explain import Explainer

    reference = verification.check_model(told[0]["model"], Store())
    progress.stage(f"reading {', '.join(source.name for source in sources)} with {reference}")
    beside = told[0]["model"].get("beside")
    models = run.loaded(reference, beside and [verification.check_model(one, Store()) for one in beside])
    settings = given.beside(told[0], state=state)
    items, anew = _labelled(sources, models, known, settings.companies)
    seen = replay(items, settings, told[0]["model"], told[0].get("settings"))
    explainer = Explainer(models.champions[0]) if explained else None
    found = []
    for one in told:
        decisive, words = None, []
        if explainer:
            progress.stage(f"explaining {one['id']}")
            decisive = _decisive(one["id"], items, seen, settings)
            words = explanation.worst(_titles(one), explainer)
        found.append(_Checked(verification.verify(one, seen), len(items), anew, decisive, words))
    return found


def _one(alert: str, state: str | None, only: str | None) -> Mapping[str, Any]:
    from apps.finance_monitor import journal, verification

    if Path(alert).is_file():
        found = verification.read(Path(alert), only=only)
        if len(found) > 1:
            known = ", ".join(one["id"] for one in found)
            raise errors.InputError(f"{alert}: holds {len(found)} alerts; name one of them with --id: {known}")
        return found[0]
    if state is None:
        raise errors.InputError(f"{alert}: no such file; for an alert's id, give the --state that holds it")
    return journal.alert_in(state, alert)


@dataclass(frozen=True)
class _Given:
    """Settings as options gave them; None: those that the alert carries."""

    budget: float | None
    lateness: float | None
    companies: Path | None
    calendar: str | None
    notices: bool | None

    def beside(self, told: Mapping[str, Any], *, state: bool) -> Settings:
        """The alert's, where these are none.

        Args:
            state: an alert that carries none is of a run with one.

        Raises:
            InputError: the alert's watch list is not there, or changed since.
        """
        from apps.finance_monitor.replay import Settings

        kept = told.get("settings") or {"false_alarms_per_day": 0.5, "lateness_minutes": 5.0 if state else None}
        lateness = kept["lateness_minutes"] if self.lateness is None else self.lateness
        return Settings(
            kept["false_alarms_per_day"] if self.budget is None else self.budget,
            None if lateness is None else timedelta(minutes=lateness),
            _watched(self.companies, kept.get("companies")),
            self.calendar or kept.get("calendar"),
            bool(kept.get("notices")) if self.notices is None else self.notices,
        )


def _watched(given: Path | None, kept: Mapping[str, str] | None) -> WatchList:
    from apps.finance_monitor import watchfile
    from apps.finance_monitor.watchlist import WatchList
    from engine import sha256

    path = given or (Path(kept["file"]) if kept else None)
    if path is None:
        return WatchList()
    if given is None and kept and (not path.is_file() or sha256(path) != kept["sha256"]):
        raise errors.InputError(f"{path}: the alert's watch list is not there as it was; give it with --companies")
    return watchfile.read(path)


def _run(told: Mapping[str, Any]) -> str:
    """The same for alerts that one replay can verify."""
    return json.dumps([told["model"], told.get("settings")], sort_keys=True)


def _labelled(
    sources: Sequence[Source], models: Models, known: Sequence[Labelled], companies: WatchList
) -> tuple[list[Labelled], int]:
    """The news of the sources with its labels, and how many of them were not known."""
    from apps.finance_monitor import labels
    from apps.finance_monitor.feeds.source import chunks
    from apps.finance_monitor.items import NewsItem
    from apps.finance_monitor.run import CHUNK

    recorded = {one.item: one for one in known}
    found: list[Labelled] = []
    reader = models.reader(companies)
    anew = 0
    for chunk in chunks(sources, CHUNK):
        items = [entry.found for entry in chunk if isinstance(entry.found, NewsItem)]
        new = [item for item in items if item not in recorded]
        anew += len(new)
        made = dict(zip(new, labels.label(new, models.labellers, models.embedder, reader), strict=True))
        found += [recorded.get(item) or made[item] for item in items]
    return found, anew


def _decisive(name: str, items: Sequence[Labelled], seen: Replay, settings: Settings) -> dict[str, Any] | None:
    from apps.finance_monitor.replay import without

    if name not in seen.decisive:
        return None
    found, alert = seen.decisive[name], seen.alerts[name]
    other = without(alert, items, seen, settings)
    instead = [{field: one[field] for field in ("id", "key", "opened")} for one in other.instead]
    return {
        "stories": [{"id": one.item_id, "title": one.title} for one in found.stories],
        "items": sorted(found.items),
        "of": len(alert.evidence),
        "without_them": {"fires": other.fires, "instead": instead},
    }


def _titles(told: Mapping[str, Any]) -> list[str]:
    return [one["title"] for one in told["evidence"]]


def _show_verdict(one: _Checked) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, told = Console(), one.verdict.told
    if one.verdict.holds:
        console.print(Text.assemble(("verified ", "bold green"), _title(told)))
        console.print(Text(f"  equal: {', '.join(one.verdict.compared)}"))
        model = f"{told['model']['name']}@{told['model']['version']}"
        kept = one.items - one.anew
        console.print(Text(f"  over {one.items:,} items, {one.anew:,} labelled anew by {model}, {kept:,} by the state"))
    else:
        console.print(Text.assemble(("differs  ", "bold red"), _title(told)))
        table = Table()
        for column in ("field", "as told", "recomputed"):
            table.add_column(column, overflow="fold")
        for found in one.verdict.differences:
            table.add_row(*(Text(_value(value)) for value in (found.field, found.told, found.recomputed)))
        console.print(table)
    _show_explanation(told, one.decisive, one.words)


def _show_explanation(told: Mapping[str, Any], decisive: dict[str, Any] | None, words: Sequence[Explanation]) -> None:
    from rich.console import Console
    from rich.text import Text

    from engine.explain import coloured

    console = Console()
    if decisive:
        count = len(decisive["stories"])
        fires = decisive["without_them"]["fires"]
        end = "it fires all the same (names and stories that hung on them changed too)" if fires else "it does not fire"
        console.print(
            Text(
                f"{_title(told)}: {count} of its {decisive['of']} stories decide; replayed without them, {end}:", "bold"
            )
        )
        for one in decisive["stories"]:
            console.print(Text.assemble("  ", (one["id"], "dim"), f"  {one['title']}"))
        for one in decisive["without_them"]["instead"]:
            console.print(Text(f"  instead: {one['key']['type']} {one['key']['value']}, {one['opened']}", "dim"))
    for found in words:
        console.print(coloured(found))


def _title(told: Mapping[str, Any]) -> str:
    return f"{told['id']} {told['key'].get('type')} {told['key'].get('value')}, {told['opened']}"


def _value(value: Any) -> str:
    return "(none)" if value is None else str(value)
