"""Reliability: how probable each label of a text is, and how often each rater knows, found together.

A rater knows a text's label with a probability that is their own, and else guesses: names a label as those who guess
do, votes as a coin falls (MACE: Hovy, Berg-Kirkpatrick, Vaswani & Hovy 2013, "Learning whom to trust with MACE", NAACL;
after Dawid & Skene 1979, Applied Statistics 28). What is probable before anyone spoke comes from the model that
answered and from texts like this one (Raykar et al. 2010, "Learning from crowds", JMLR 11): so a rater can be weighed
though nobody else saw the same texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.feedback.claims import Form

Array = NDArray[np.float64]
Places = NDArray[np.int64]
ROUNDS, STILL = 50, 1e-4
ANYONE, TRUSTED = np.array([4.0, 1.0]), np.array([19.0, 1.0])
"""Times that a rater is taken to have known, and guessed, before anything is seen."""
UNIFORM = 0.1
"""Weight of "it may be any label" beside the model's word, which weighs 1, and the neighbours', at most 1."""

NEW, GUESSED_NEW = 0.3, 0.25
"""Weight of "it may be a new label" in the same sum, and how often one who guesses names a given new label: so that
texts of a new label speak for each other, and scattered ones that are said to have it do not make it."""


@dataclass(frozen=True)
class Spoken:
    """The claims of one form on one head: text, label and rater of each, as numbers."""

    form: Form
    texts: Places
    labels: Places
    raters: Places


@dataclass
class Question:
    """One head of some texts.

    Attributes:
        model: what the model that answered gives each label, shape (texts, labels); a row of zeros where none did.
        new: of each label, whether no model knows it: what models and old texts say is no evidence against it.
        known: weight of labels among a text's neighbours that are beyond doubt, shape (texts, labels).
        near, weights: places of its neighbours among these texts, and their weights, shape (texts, neighbours).
    """

    model: Array
    new: NDArray[np.bool_]
    known: Array
    near: Places
    weights: Array
    spoken: Sequence[Spoken]

    def prior(self, belief: Array) -> Array:
        """Probability of each label before anyone spoke.

        Args:
            belief: probabilities of the texts' labels as they are thought by now.
        """
        # Two close neighbours weigh nearly as much as the model does, a far one little.
        told = self.known + np.einsum("tn,tnl->tl", self.weights, belief[self.near])
        mass = told.sum(1, keepdims=True)
        neighbours = told / (
            1.0 + mass
        )  # two close neighbours weigh nearly as much as the model does, a far one little
        prior = self.model + neighbours + UNIFORM / len(self.new) + NEW * self.new / max(1, self.new.sum())
        return np.asarray(prior / prior.sum(1, keepdims=True))

    def guesses(self, belief: Array, knows: Array, before: Array) -> Array:
        """How often each label is named by one who guesses: a new one rather often."""
        counts = np.ones(len(self.new))
        for one in self.spoken:
            if one.form == "names":
                np.add.at(counts, one.labels, 1.0 - _known(one, belief, knows, before))
        return np.where(self.new, GUESSED_NEW, counts / counts.sum())

    def belief(self, prior: Array, knows: Array, guesses: Array) -> Array:
        """Probability of each label after the claims.

        Args:
            knows: of each rater.
        """
        logs = np.log(prior)
        for one in self.spoken:
            right, wrong = _odds(one, knows, guesses)
            lift = np.log(right) - np.log(wrong)
            np.add.at(logs, (one.texts, one.labels), -lift if one.form == "denies" else lift)
        logs -= logs.max(1, keepdims=True)
        found = np.exp(logs)
        return np.asarray(found / found.sum(1, keepdims=True))


@dataclass(frozen=True)
class Weighed:
    beliefs: list[Array]
    """Of each question, probabilities of shape (texts, labels)."""
    knows: Array
    """Of each rater, how often they know."""
    claims: Array
    """Of each rater, how many were about labels that models know, by which a rater can be judged."""
    wrong: Array
    """Of each rater, how many of those are thought wrong."""


def weigh(questions: Sequence[Question], trusted: NDArray[np.bool_]) -> Weighed:
    """Labels and raters, by expectation maximisation.

    Args:
        trusted: of each rater, whether they are; of others it is thought beforehand that they are like the rest.
    """
    first = np.where(trusted[:, None], TRUSTED, ANYONE)
    knows = first[:, 0] / first.sum(1)
    guesses = [np.full(len(one.new), 1.0 / len(one.new)) for one in questions]
    beliefs = [np.zeros_like(one.model) for one in questions]
    for _ in range(ROUNDS):
        beliefs = [
            one.belief(one.prior(belief), knows, guess)
            for one, belief, guess in zip(questions, beliefs, guesses, strict=True)
        ]
        known, claims = np.zeros(len(knows)), np.zeros(len(knows))
        for one, belief, guess in zip(questions, beliefs, guesses, strict=True):
            for spoken in one.spoken:
                np.add.at(known, spoken.raters, _known(spoken, belief, knows, guess))
                np.add.at(claims, spoken.raters, 1.0)
        guesses = [
            one.guesses(belief, knows, guess) for one, belief, guess in zip(questions, beliefs, guesses, strict=True)
        ]
        rest = ~trusted
        usual = (ANYONE[0] + known[rest].sum()) / (ANYONE.sum() + claims[rest].sum())
        times = first.sum(1)
        begun = np.where(trusted, first[:, 0], usual * times)
        before, knows = knows, (begun + known) / (times + claims)
        if np.abs(knows - before).max(initial=0.0) < STILL:
            break
    wrong, judged = np.zeros(len(knows)), np.zeros(len(knows))
    for one, belief in zip(questions, beliefs, strict=True):
        for spoken in one.spoken:
            old = ~one.new[spoken.labels]
            np.add.at(wrong, spoken.raters[old], 1.0 - _right(spoken, belief)[old])
            np.add.at(judged, spoken.raters[old], 1.0)
    return Weighed(beliefs, knows, judged, wrong)


def _odds(one: Spoken, knows: Array, guesses: Array) -> tuple[Array, Array]:
    """Probability of each claim where it holds, and where it does not."""
    sure = knows[one.raters]
    luck = guesses[one.labels] if one.form == "names" else np.full(len(sure), 0.5)
    return sure + (1 - sure) * luck, (1 - sure) * luck


def _known(one: Spoken, belief: Array, knows: Array, guesses: Array) -> Array:
    """Probability that each claim was made by one who knew, rather than guessed."""
    right, wrong = _odds(one, knows, guesses)
    return np.asarray(_right(one, belief) * (right - wrong) / right)


def _right(one: Spoken, belief: Array) -> Array:
    """Probability that each claim holds."""
    found = belief[one.texts, one.labels]
    return np.asarray(1.0 - found if one.form == "denies" else found)
