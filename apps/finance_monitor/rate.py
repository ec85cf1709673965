"""Rate: how many a day, with the interval that so small a count leaves open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Of a Poisson count over so many days."""

    count: int
    days: float

    @property
    def a_day(self) -> float:
        return self.count / self.days

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided exact 95% interval (Garwood 1936)."""
        from scipy.stats import chi2

        low = chi2.ppf(0.025, 2 * self.count) / 2 if self.count else 0.0
        return float(low / self.days), float(chi2.ppf(0.975, 2 * self.count + 2) / 2 / self.days)

    @property
    def upper(self) -> float:
        """The one-sided bound that the true rate stays below with 95% confidence."""
        from scipy.stats import chi2

        return float(chi2.ppf(0.95, 2 * self.count + 2) / 2 / self.days)
