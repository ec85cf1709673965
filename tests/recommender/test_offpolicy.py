"""Off-policy estimates on a small world whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.recommender.offpolicy import Log, doubly_robust, estimates, ips, snips
from engine.errors import InputError

USERS, ITEMS, PLACES = 250, 4, 2


def softmax(logits: np.ndarray) -> np.ndarray:
    found = np.exp(logits - logits.max(-1, keepdims=True))
    return found / found.sum(-1, keepdims=True)


class World:
    """Users of three kinds see one or two of four items; who reads on, reads from the top.

    The click at the second place is likelier after a click at the first, so places are not independent.
    """

    def __init__(self, places: int) -> None:
        random = np.random.default_rng(1)
        self.places = places
        self.chance = random.uniform(0.05, 0.6, (3, ITEMS))
        self.logging = random.normal(0, 0.7, (3, ITEMS))
        self.wanted = self.logging * -0.5 + 2 * self.chance  # another policy than the one that logged
        self.model = np.clip(self.chance + random.normal(0, 0.1, self.chance.shape), 0, 1)

    def choose(self, logits: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Chances of each item given those above."""
        return softmax(np.where(taken, -np.inf, logits))

    def log(self, seed: int, lists: int = 2) -> Log:
        """Lists of 250 users, `lists` each; a user's lists share their luck, so they are not independent."""
        random = np.random.default_rng(seed)
        user = np.repeat(np.arange(USERS), lists)
        kind = np.repeat(random.integers(0, 3, USERS), lists)
        luck = np.repeat(random.uniform(0.5, 1.5, USERS), lists)
        taken, above = np.zeros((len(user), ITEMS), bool), np.zeros(len(user))
        rows = []
        for place in range(self.places):
            logged = self.choose(self.logging[kind], taken)
            target = self.choose(self.wanted[kind], taken)
            item = (logged.cumsum(1) < random.random((len(user), 1))).sum(1)
            every = np.arange(len(user))
            chance = np.clip(self.chance[kind, item] * luck * (1 + 0.5 * above) * 0.6**place, 0, 1)
            reward = (random.random(len(user)) < chance).astype(float)
            guess = self.model[kind] * 0.6**place
            columns = {
                "list_id": every, "user_id": user, "position": place + 1, "propensity": logged[every, item],
                "target": target[every, item], "reward": reward, "predicted": guess[every, item],
                "expected": (target * guess).sum(1),
            }  # fmt: skip
            rows.append(pd.DataFrame(columns))
            taken[every, item] = True
            above = reward
        return Log(pd.concat(rows), chained=True)

    def truth(self) -> float:
        """Reward of a list under the target policy: every kind of user, every pair of items, over all luck."""
        total, square = 0.0, 1 + 1 / 12  # of luck, uniform from .5 to 1.5, whose mean is 1
        for kind in range(3):
            first = softmax(self.wanted[kind])
            for item in range(ITEMS):
                total += first[item] * self.chance[kind, item] / 3
                second = self.choose(self.wanted[kind], np.arange(ITEMS) == item)
                follows = 0.6 * self.chance[kind] * (1 + 0.5 * square * self.chance[kind, item])
                total += (self.places > 1) * first[item] * float(second @ follows) / 3
        return total


@pytest.mark.parametrize("places", [1, PLACES])
def test_intervals_cover_the_truth_as_often_as_they_say(places):
    world = World(places)
    truth = world.truth()
    covered = {"ips": 0, "snips": 0, "dr": 0}
    width = dict.fromkeys(covered, 0.0)
    for seed in range(100):
        for name, one in estimates(world.log(seed + 1)).items():
            covered[name] += one.low <= truth <= one.high
            width[name] += one.high - one.low
    assert all(90 <= count <= 98 for count in covered.values()), covered
    assert width["dr"] < width["ips"]


def test_the_logging_policy_is_worth_what_it_earned():
    frame = World(PLACES).log(3).frame
    same = Log(frame.assign(target=frame["propensity"]), chained=True)
    earned = frame["reward"].sum() / frame["list_id"].nunique()
    for one in (ips(same), snips(same)):
        assert one.value == pytest.approx(earned)
        assert one.effective == pytest.approx(one.lists)
        assert one.mean_weight == 1


def test_each_estimate_is_its_definition_list_by_list():
    log = World(PLACES).log(4)
    by_hand_ips, by_hand_dr, at = [], [], {1: [0.0, 0.0], 2: [0.0, 0.0]}
    for _, one in log.frame.groupby("list_id"):
        weight, earned, robust = 1.0, 0.0, 0.0
        for row in one.itertuples():
            robust += weight * row.expected
            weight *= row.target / row.propensity
            earned += weight * row.reward
            robust += weight * (row.reward - row.predicted)
            at[row.position][0] += weight * row.reward
            at[row.position][1] += weight
        by_hand_ips.append(earned)
        by_hand_dr.append(robust)
    assert ips(log).value == pytest.approx(np.mean(by_hand_ips))
    assert doubly_robust(log).value == pytest.approx(np.mean(by_hand_dr))
    assert snips(log).value == pytest.approx(sum(part / whole for part, whole in at.values()))


def test_lists_of_a_user_are_not_counted_as_so_many_users():
    frame = World(1).log(5, lists=1).frame
    again = pd.concat([frame.assign(list_id=frame["list_id"] + n * USERS) for n in range(9)])
    once, often = ips(Log(frame)), ips(Log(again))
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"propensity": 0.0}, "field 'propensity': 0; give a probability over 0"),
        ({"target": 1.5}, "field 'target': 1.5; give a probability"),
        ({"reward": np.nan}, "field 'reward': nan"),
        ({"list_id": 1}, "two choices at one place"),
        ({"user_id": 1}, "1 users; an interval takes 30"),
    ],
)
def test_a_log_that_tells_nothing_is_refused(change, fault):
    frame = World(1).log(6).frame
    with pytest.raises(InputError, match=fault):
        Log(frame.assign(**change))
    with pytest.raises(InputError, match="no column 'propensity'"):
        Log(frame.drop(columns="propensity"))
    with pytest.raises(InputError, match="doubly robust"):
        doubly_robust(Log(frame.drop(columns="expected")))
    with pytest.raises(InputError, match="no choice that was logged at place 1"):
        snips(Log(frame.assign(target=0.0)))
