"""Record: what the manifest says of a federated run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.federate.branch import Branch
from engine.federate.gap import Gap
from engine.federate.plan import Plan
from engine.federate.sharing import Shared, Sharing
from engine.store import Version

SECTION = "federated"
_PARTS = ("train", "dev", "calibration")


def record(
    plan: Plan,
    sharing: Sharing,
    shared: Shared,
    *,
    probed: bool,
    exporter: Branch,
    message_bytes: int,
    against: Version | None,
    gaps: Sequence[Gap],
) -> dict[str, Any]:
    """The manifest's `rows`, those of all clients, and its section `federated`.

    Args:
        probed: the heads began as regressions.
        exporter: the branch that the export was made at.
        message_bytes: of the parameters, which go to each client and back once a round.
        against: the model trained on all rows.
    """
    clients = [
        {"name": branch.name, **{part: len(getattr(branch, part)) for part in _PARTS}} for branch in shared.branches
    ]
    rows = {part: sum(len(getattr(branch, part)) for branch in shared.branches) for part in _PARTS}
    rows |= {"test": len(shared.test), "rejected": len(shared.rejected), "dropped_for_leaks": shared.dropped}
    told = {
        **plan.as_dict(),
        "sharing": sharing.as_dict(),
        "clients": clients,
        "head_start": "regressions on gradients summed over the clients" if probed else "chance",
        "message_bytes": message_bytes,
        "calibrated_by": "losses summed over the clients' calibration rows",
        "exported_by": exporter.name,
        "privacy": privacy(plan),
        "pooled": str(against) if against else None,
        "gaps": [gap.as_dict() for gap in gaps],
    }
    return {"rows": rows, SECTION: told}


def privacy(plan: Plan) -> str:
    """What is and is not kept from the server."""
    if plan.clip is None:
        return "rows stay with their client; updates are sent as they are, and texts may be rebuilt from such"
    noise = f" and blurred by noise of {plan.noise:g} times that a number" if plan.noise else ""
    return (
        f"rows stay with their client; updates are clipped to norm {plan.clip:g}{noise}; no differential privacy is "
        "claimed, since none was accounted for and the noise can be drawn again from the seed"
    )
