"""Retrain: what users did since the training teaches a challenger, and it goes live only if it ranks better.

    logbook ──vetted──> events ──cut in time──> earlier: the challenger learns from them, the champion takes them in as
                                          └───> later: both rank the same lists; the paired difference decides

Lists to be judged lie after all that either knows. The champion is judged as it would serve by then: with the earlier
events in its histories, popularity and behaviour, its encoders and boosters as they are.

Bots that look like shoppers pass the vetting, and a challenger that learnt from them ranks their lists better. Accounts
are cheap, a past is not: it must be better on the lists of users whom the champion knew before, too. Where their
accounts may be stolen, golden lists have a veto.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.evaluate import Evaluation, K, Known, Score, evaluate
from apps.recommender.golden import Golden
from apps.recommender.held_out import HeldOut, Plan
from apps.recommender.intervals import bootstrap
from apps.recommender.logbook import Logbook
from apps.recommender.metrics import Ranking
from apps.recommender.ranker import Recommender
from apps.recommender.training import Training
from apps.recommender.trial import FILE
from apps.recommender.vetted import Vetted
from engine import Aside, Decision, Gate, Progress, Store, Taught, decisions
from engine.errors import InputError

CHAMPION, CHALLENGER = "champion", "challenger"
JUDGED = 0.5
"""Share of the new events, the newest of them, that only judge."""
FEWEST = 200
"""New events below which nothing is learnt."""
FEWEST_REGULAR = 50
"""Lists of users whom the champion knew below which they do not judge apart: a shop that has just opened has none."""
LEAST_LISTS = 1000
"""Lists that were shown from which the boosters learn as shown; of fewer, what was taken stands beside items drawn
evenly."""


@dataclass(frozen=True)
class Retrained:
    """Attributes:
    evaluation: champion and challenger on the same lists.
    """

    decision: Decision
    evaluation: Evaluation


def retrain(
    name: str,
    logbook: Logbook,
    *,
    plan: Plan,
    judged: float = JUDGED,
    golden: Golden | None = None,
    progress: Progress | None = None,
) -> Retrained:
    """Train a challenger on what the logbook holds beyond the champion, and promote it if it ranks better.

    Args:
        plan: how the lists are drawn; its days do not count.
        judged: share of the new events that only judge, the newest.
        golden: lists on which the challenger must be no worse, whatever the log says.

    The champion serves on until then, and for good where the challenger is not better. A killed process leaves the
    champion as it was; run it again.

    Raises:
        InputError: there is no such recommender, or too little is new; or it has learnt what golden lists ask.
        LeakError: what was learnt from has seen what is asked.
    """
    progress = progress or Progress(quiet=True)
    champion = Recommender.load(name)
    progress.stage("reading what users did")
    new = Vetted.of(logbook, champion)
    if len(new.events) < FEWEST:
        raise InputError(
            f"{len(new.events):,} events to learn from are newer than {champion.version}, {len(new.aside):,} were set "
            f"aside; it takes {FEWEST}"
        )
    moment = new.events.frame["datetime"].sort_values().iloc[int(len(new.events) * (1 - judged))].to_pydatetime()
    held = HeldOut.of(new.items, champion.events.added(new.events), replace(plan, since=moment), new.exposures)
    asked = golden and golden.known(held.learnt)  # what is wrong with the lists is told before hours of training
    challenger = _learnt(champion, new, held, progress)
    progress.stage("measuring both")
    now = _taken_in(champion, new, moment)
    known = Known(held.learnt, new.items, held.learnt.added(held.later), challenger.features.text.vectors)
    scores = {CHAMPION: _scores(now)(held.lists), CHALLENGER: _scores(challenger)(held.lists)}
    evaluation = evaluate(
        scores,
        held.lists,
        held.protocol,
        known,
        main=CHALLENGER,
        histories=held.histories,
        features=challenger.features,
    )
    made = challenger.partial_fit(held.later).save(
        name,
        promote=False,
        figures={part: asdict(own["ndcg"]) for part, own in evaluation.figures.items()},
        files={FILE: json.dumps(asdict(evaluation))},
    )
    gates = [_better(evaluation), _regulars(champion, held.lists, scores)]
    if golden and asked:
        gates.append(golden.gate(now, challenger, asked))
    decision = _decided(champion, made, new, evaluation, tuple(gates))
    decision.keep()
    _carried_out(decision)
    return Retrained(decision, evaluation)


def left_over(name: str) -> Decision | None:
    """Promote what a process decided to promote and was killed before it did; None: nothing is left over."""
    found = decisions(name)
    if found and found[-1].promoted and _carried_out(found[-1]):
        return found[-1]
    return None


def _learnt(champion: Recommender, new: Vetted, held: HeldOut, progress: Progress) -> Recommender:
    before = None if new.exposures is None else new.exposures.until(held.learnt)
    if before is not None and before.frame["list_id"].nunique() < LEAST_LISTS:
        before = None
    users = None
    if champion.segments:
        users = pd.DataFrame(list(champion.segments.of.items()), columns=["user_id", champion.segments.field])
    training = Training.of(new.items, held.learnt, champion.settings, progress, before)
    return Recommender.learnt(training, users)


def _taken_in(champion: Recommender, new: Vetted, moment: datetime) -> Recommender:
    """The champion as it would serve at a moment."""
    grown = champion if new.items is champion.items else champion.add_items(new.items)
    return grown.partial_fit(new.events.before(moment))


def _scores(recommender: Recommender) -> Score:
    return Ablation(None, recommender).scores()[FUSED]


def _regulars(champion: Recommender, lists: Candidates, scores: Mapping[str, NDArray[np.floating]]) -> Gate:
    """Whether the challenger is better on the lists of users whom the champion knew before."""
    before, after = (Ranking.of(lists, scores[part]).ndcg(K) for part in (CHAMPION, CHALLENGER))
    ours = np.isin(lists.user_ids.astype(str), champion.events.frame["user_id"].unique().astype(str))
    gains = np.where(ours, after - before, np.nan)
    count = int((~np.isnan(gains)).sum())
    if count < FEWEST_REGULAR:
        note = f"{count} lists are of users whom {champion.version} knew; it takes {FEWEST_REGULAR} to judge by them"
        return Gate("regulars", True, 0.0, 0.0, None, note)
    gain = bootstrap({"gain": gains}, lists.user_ids)["gain"]
    note = (
        f"nDCG of the first {K} on the {count:,} of these lists that are of users whom {champion.version} knew; the "
        "interval of the difference must lie above 0: newcomers may be bots"
    )
    return Gate("regulars", gain.low > 0, gain.value, 0.0, (gain.low, gain.high), note)


def _better(evaluation: Evaluation) -> Gate:
    gain, lists = evaluation.gains[CHAMPION], evaluation.protocol.lists
    before, after = (evaluation.figures[part]["ndcg"].value for part in (CHAMPION, CHALLENGER))
    note = (
        f"nDCG of the first {evaluation.k}: {before:.4f} to {after:.4f} on {lists:,} lists of later days; the interval "
        "of the difference must lie above 0"
    )
    return Gate("better", gain.low > 0, gain.value, 0.0, (gain.low, gain.high), note)


def _decided(
    champion: Recommender, made: Recommender, new: Vetted, evaluation: Evaluation, gates: tuple[Gate, ...]
) -> Decision:
    rows = "\n".join(new.learnt)
    taught = Taught(
        len(new.learnt) + len(new.aside), new.learnt, (), len(new.events), len(champion.events), (),
        hashlib.sha256(rows.encode()).hexdigest(),
    )  # fmt: skip
    now = datetime.now(UTC)
    return Decision(
        f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}",
        made.version.rpartition("@")[0],
        now.isoformat(timespec="seconds"),
        champion.version,
        made.version,
        all(gate.held for gate in gates),
        gates,
        taught,
        tuple(Aside(id, reason) for id, reason in new.aside.items()),
        {"rows": evaluation.protocol.lists},
    )


def _carried_out(decision: Decision) -> bool:
    """Promote the challenger, once: a person may have rolled it back since; whether it was done now."""
    store = Store()
    version = store.get(decision.challenger)
    if not decision.promoted or version.number in {change.number for change in store.changes(version.name)}:
        return False
    store.promote(version)
    return True
