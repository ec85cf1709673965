"""Strategy: what clients are asked each round, and how their answers become the next parameters. Flower's names."""

from __future__ import annotations

from collections.abc import Sequence

from engine.federate.client import Client
from engine.federate.messages import (
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    Metrics,
    Parameters,
    Scalar,
    weighted_mean,
)
from engine.federate.plan import Plan


class FedAvg:
    """Every client trains for some epochs; the mean of their parameters, weighted by rows, is the next round's
    (McMahan et al. 2017, arXiv 1602.05629, algorithm 1 with C = 1).

    LoRA's two matrices are averaged each by itself, as Zhang et al. 2024 do (FedIT, arXiv 2305.05644): the product of
    the means is not the mean of the products, but near it while the clients' matrices are near each other, which the
    common beginning of each round sees to. The rates fall from round to round to zero, and within a round likewise.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def configure_fit(
        self, server_round: int, parameters: Parameters, clients: Sequence[Client]
    ) -> list[tuple[Client, FitIns]]:
        """What each client is asked to do in a round, counted from 1."""
        config: dict[str, Scalar] = {
            "server_round": server_round,
            "local_epochs": self._plan.local_epochs,
            "rate": 1 - (server_round - 1) / self._plan.rounds,
        }
        return [(client, FitIns(parameters, {**config, **self.proximal()})) for client in clients]

    def proximal(self) -> dict[str, Scalar]:
        """What is added to the configuration of a fit."""
        return {}

    def aggregate_fit(self, server_round: int, results: Sequence[tuple[Client, FitRes]]) -> tuple[Parameters, Metrics]:
        """The next parameters, and the mean loss over the rows."""
        answers = [answer for _, answer in results]
        return weighted_mean([(answer.parameters, answer.num_examples) for answer in answers]), _loss(answers)

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, clients: Sequence[Client]
    ) -> list[tuple[Client, EvaluateIns]]:
        return [(client, EvaluateIns(parameters, {"server_round": server_round})) for client in clients]

    def aggregate_evaluate(
        self, server_round: int, results: Sequence[tuple[Client, EvaluateRes]]
    ) -> tuple[float | None, Metrics]:
        """Mean loss over the clients' dev rows, and the share of right answers, the mean over heads; None without any
        such rows."""
        answers = [answer for _, answer in results if answer.num_examples]
        if not answers:
            return None, {}
        rows = sum(answer.num_examples for answer in answers)
        heads = {name.removesuffix(" right") for answer in answers for name in answer.metrics if name.endswith("right")}
        shares = []
        for head in sorted(heads):
            told = [answer.metrics for answer in answers if f"{head} rows" in answer.metrics]
            right = sum(float(metrics[f"{head} right"]) for metrics in told)
            shares.append(right / sum(int(metrics[f"{head} rows"]) for metrics in told))
        loss = sum(answer.loss * answer.num_examples for answer in answers) / rows
        return loss, {"accuracy": sum(shares) / len(shares)}


class FedProx(FedAvg):
    """FedAvg whose clients are held near the round's beginning (Li et al. 2020, arXiv 1812.06127)."""

    def proximal(self) -> dict[str, Scalar]:
        return {"proximal_mu": self._plan.mu}


def strategy(plan: Plan) -> FedAvg:
    """The plan's."""
    return {"fedavg": FedAvg, "fedprox": FedProx}[plan.strategy](plan)


def _loss(answers: Sequence[FitRes]) -> Metrics:
    told = [(float(answer.metrics["loss"]), answer.num_examples) for answer in answers if "loss" in answer.metrics]
    rows = sum(count for _, count in told)
    return {"loss": sum(loss * count for loss, count in told) / rows} if rows else {}
