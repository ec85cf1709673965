"""Settings: what training is told, as YAML or arguments; business values of behaviours among them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from apps.recommender import rules
from engine.errors import InputError

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Section):
    base: str = "minilm"
    """A base model, or "store:NAME" for an item encoder that is stored already."""
    recipe: str = "recipes/recommender_text.yaml"
    pairs: Annotated[int, Field(ge=0)] = 0
    """Pairs of an item and the next one from which the item encoder is tuned; 0: it stays as it is, and the user
    encoder alone learns. 8,000 pairs of Amazon Games made both worse on validation lists (text .6325 for .6441)."""
    epochs: Count = 4
    """Of the user encoder."""
    width: Count = 96


class Sequence(Section):
    epochs: Annotated[int, Field(ge=0)] = 6
    """0: no sequence model."""
    width: Count = 64


class Booster(Section):
    rounds: Count = 400
    learning_rate: Positive = 0.1
    leaves: Annotated[int, Field(ge=2)] = 15
    stop_after: Count = 40
    """Rounds without a better nDCG on held-out users after which training stops."""
    threads: Count = 2


class Rerank(Section):
    base: str = "minilm"
    recipe: str = "recipes/recommender_rank.yaml"
    pairs: Annotated[int, Field(ge=0)] = 0
    """Pairs of a history and an item from which the cross-encoder is tuned; 0: there is none."""
    depth: Annotated[int, Field(ge=2)] = 20
    """Candidates, from the top, that it reads at most."""


class Listing(Section):
    """What a list is like unless the request says otherwise; see `listing.Wish`."""

    k: Count | None = None
    """Items of a list; none: all candidates."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    method: Literal["mmr", "dpp"] = "mmr"
    most_loss: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the discounted scores that diversity may cost."""
    rules: list[dict[str, dict[str, Any]]] = []
    """Each as {KIND: {FIELD: VALUE}}; see `rules.parse`."""
    explore: Annotated[float, Field(ge=0)] = 0.0
    """Temperature, in the unit of the scores, at which lists are drawn; 0: nothing is."""
    budget_ms: Positive | None = None
    """Milliseconds of a request, of which the cross-encoder may use what is left; none: it is not asked."""

    @field_validator("rules")
    @classmethod
    def _readable(cls, given: list[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, Any]]]:
        try:
            rules.parse(given)
        except InputError as fault:
            raise ValueError(str(fault)) from None
        return given


class Settings(Section):
    values: dict[str, Annotated[float, Field(ge=0)]] = {}
    """What one event of each behaviour is worth, {click: 1, purchase: 10}; a behaviour left out is worth nothing, and
    where none is given each is worth 1."""
    step_share: Share = 0.2
    """Share of the events, the newest, on which the booster learns; where there are no times, each user's last."""
    steps: Count = 30000
    """Most lists that the booster learns from."""
    held_out: Share = 0.15
    """Share of the users whose lists stop the booster and calibrate it."""
    negatives: Count = 20
    """Items drawn evenly that stand beside what was taken."""
    newcomers: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the items that the booster is shown as if they were new."""
    text: Text = Text()
    sequence: Sequence = Sequence()
    booster: Booster = Booster()
    rerank: Rerank = Rerank()
    segment: str = ""
    """Field of the users by which those without a history are told apart; none: all see what is popular."""
    listing: Listing = Listing()
    seed: int = 13

    @classmethod
    def read(cls, path: Path) -> Settings:
        """The settings of a YAML file.

        Raises:
            InputError: it is not there, or does not hold settings.
        """
        import yaml

        try:
            given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as fault:
            raise InputError(f"{path}: no settings to read ({fault})") from None
        return cls.parse(given, str(path))

    @classmethod
    def parse(cls, given: dict[str, Any], name: str = "settings") -> Settings:
        """Checked settings.

        Raises:
            InputError: naming every key that is wrong.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as fault:
            lines = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in fault.errors())
            raise InputError(f"{name}: {lines}") from None
