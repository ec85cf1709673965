"""Hand-over: who speaks in a conversation. A table of states and events; all else follows it.

    bot ──ask──> waiting ──take──> agent ──give back──> bot
     │  <─withdraw─┘                │ └─take over─> agent (another one)
     └─────────────┴──────close─────┴───────> closed

Exactly one side answers at any time: the bot in `bot`, nobody in `waiting` (the customer is told so once and whatever
is written waits for the agent), the agent in `agent`. Each change tells the customer. Only the customer's wish leads to
the agents, so that bot and queue never send anyone in circles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import InputError

Side = Literal["bot", "waiting", "agent", "closed"]
Event = Literal[
    "ask", "withdraw", "take", "take_over", "give_back", "close", "customer_speaks", "bot_speaks", "agent_speaks"
]
"""ask, withdraw: the customer wants a human, or the bot again while none has come; take, give_back: by an agent;
take_over: take, also what another agent has, who may be gone."""


@dataclass(frozen=True)
class State:
    side: Side = "bot"
    agent: str | None = None
    """Who of the agents has taken it; None but in `agent`."""


@dataclass(frozen=True)
class Step:
    state: State
    message: str | None
    """Key of the phrase that the customer is told now; None where the event is itself a message, or changes nothing."""


class NotAllowed(InputError):
    """The event has no place in this state."""


def step(state: State, event: Event, agent: str | None = None) -> Step:
    """The state after an event, and what the customer is told.

    Raises:
        NotAllowed: the event has no place here: someone speaks out of turn, or an agent takes what another has.
    """
    match state.side, event:
        case "bot", "ask":
            return Step(State("waiting"), "handed_over")
        case "waiting", "ask":
            return Step(state, "still_waiting")
        case "agent", "ask":
            return Step(state, "agent_is_here")
        case "waiting", "withdraw":
            return Step(State("bot"), "withdrawn")
        case "bot", "withdraw":
            return Step(state, None)
        case "agent", ("take" | "take_over") if agent == state.agent:
            return Step(state, None)
        case ("waiting", "take") | (("waiting" | "agent"), "take_over"):
            return Step(State("agent", _named(agent)), "agent_joined")
        case (("waiting" | "agent"), "give_back"):
            _mine(state, agent)
            return Step(State("bot"), "given_back")
        case (("bot" | "waiting" | "agent"), "close"):
            return Step(State("closed"), "closed")
        case (("bot" | "waiting" | "agent"), "customer_speaks"):
            return Step(state, None)
        case "bot", "bot_speaks":
            return Step(state, None)
        case "agent", "agent_speaks":
            _mine(state, agent)
            return Step(state, None)
    raise NotAllowed(_why(state, event))


def _named(agent: str | None) -> str:
    if not agent:
        raise NotAllowed("an agent who takes a conversation has a name")
    return agent


def _mine(state: State, agent: str | None) -> None:
    if state.side == "agent" and agent != state.agent:
        raise NotAllowed(f"this conversation is with {state.agent}")


def _why(state: State, event: Event) -> str:
    if state.side == "closed":
        return "this conversation is closed; begin another one"
    if event in ("take", "take_over"):
        held = f"this conversation is with {state.agent}; take it over if they are gone"
        return held if state.agent else "nobody waits here: the bot answers"
    if event == "withdraw":
        return "a colleague is here already, and may give the conversation back to the bot"
    if event == "agent_speaks":
        return "take the conversation first: exactly one side answers"
    if event == "bot_speaks":
        return "the bot is silent while an agent is asked for or there"
    return f"{event} has no place while the conversation is with: {state.side}"
