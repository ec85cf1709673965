"""Feedback: what people said and did about predictions, kept where the next training set is made from.

app ──> FeedbackLog.add, in the app's own transaction ──> vet ──> rows that `engine retrain` learns from
                                                          choose ──> what a person should label next ──> FeedbackLog
"""

from __future__ import annotations

from engine.feedback.choice import Candidate, choose
from engine.feedback.labelling import Labelling, Task
from engine.feedback.log import MIGRATIONS, Feedback, FeedbackLog, Kind, opened
from engine.feedback.vetting import Rater, Vetted, Vetting, vet
from engine.feedback.voice import rater_of

__all__ = [
    "MIGRATIONS", "Candidate", "Feedback", "FeedbackLog", "Kind", "Labelling", "Rater", "Task", "Vetted", "Vetting",
    "choose", "opened", "rater_of", "vet",
]  # fmt: skip
