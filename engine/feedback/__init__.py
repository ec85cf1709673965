"""Feedback: what people said and did about predictions, kept where the next training set is made from.

app ──> FeedbackLog.add, in the app's own transaction ──> vet ──> rows that `engine retrain` learns from
                                                          choose ──> what a person should label next ──> FeedbackLog
"""

from __future__ import annotations

from engine.feedback.log import MIGRATIONS, Feedback, FeedbackLog, Kind, opened
from engine.feedback.vetting import Rater, Vetted, Vetting, vet

__all__ = ["MIGRATIONS", "Feedback", "FeedbackLog", "Kind", "Rater", "Vetted", "Vetting", "opened", "vet"]
