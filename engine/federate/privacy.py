"""Privacy: what a client does to its update before it sends it.

Rows never travel, but updates speak of them: texts and labels have been rebuilt from gradients (Zhu et al. 2019, arXiv
1906.08935). A clipped update cannot move the mean further than `clip` times its client's share of the rows; Gaussian
noise on top blurs what is left (McMahan et al. 2018, arXiv 1710.06963, with the noise added by each client, since the
server is not trusted with the plain update).

It is not a guarantee of differential privacy, and no epsilon is told: no accountant runs; the numbers of rows and the
losses that travel beside the update are exact; and the noise is drawn from the run's seed, so that a run can be
repeated, and who knows the seed can take it off again. A deployment that needs a guarantee draws the noise from a
source of its own at each client and counts it with an accountant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.federate.messages import Parameters


@dataclass(frozen=True)
class Guard:
    """Clips an update to the norm `clip` and adds noise of standard deviation `noise * clip` to each number."""

    clip: float
    noise: float
    seed: int
    client: int
    """Number of the client: each draws noise of its own."""

    def guarded(self, received: Parameters, trained: Parameters, server_round: int) -> Parameters:
        """The parameters that the client sends for those that it trained."""
        updates = [after.astype(np.float64) - before for after, before in zip(trained, received, strict=True)]
        norm = float(np.sqrt(sum(float((update**2).sum()) for update in updates)))
        scale = min(1.0, self.clip / max(norm, 1e-12))
        random = np.random.default_rng([self.seed, self.client, server_round])
        sent = []
        for before, update in zip(received, updates, strict=True):
            noise = random.normal(0.0, self.noise * self.clip, update.shape) if self.noise else 0.0
            sent.append(np.asarray(before + update * scale + noise, dtype=before.dtype))
        return sent
