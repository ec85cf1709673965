"""Talk: a conversation on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from apps.customer_service.answers import Answer
from apps.customer_service.bot import Bot
from apps.customer_service.conversations import Conversations
from apps.customer_service.handover import NotAllowed
from apps.customer_service.shown import show, why

HELP = "/why, /human, /bot, /good, /bad, /help, /quit"


def talk(bot: Bot, customer: str, *, consent: bool = False) -> None:
    """Read turns until /quit, Ctrl-D or Ctrl-C; everything is stored as it is said."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(f"Ask away; {HELP}", style="dim")
    desk = Conversations(bot.knowledge.database, bot.knowledge.tenant)
    id = desk.open(customer, consent=consent)
    last: Answer | None = None
    told = 0
    while True:
        try:
            said = console.input("[bold]you[/bold] ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        match said:
            case "":
                pass
            case "/quit":
                return
            case "/help":
                console.print(HELP, style="dim")
            case "/why" if last:
                why(last)
            case "/good" | "/bad" if last:
                desk.judge(id, said == "/good")
                console.print("noted", style="dim")
            case "/why" | "/good" | "/bad":
                console.print("nothing was answered yet", style="dim")
            case "/human" | "/bot":
                try:
                    desk.happen(id, "ask" if said == "/human" else "withdraw")
                except NotAllowed as fault:
                    console.print(str(fault), style="dim")
            case _:
                written: list[str] = []

                def heard(sentence: str, written: list[str] = written) -> None:
                    console.print(Text(sentence), end=" ")
                    written.append(sentence)

                if answer := turn(bot, desk, id, said, heard):
                    last = answer
                    if written:
                        console.print()
                    show(last, text=not written)
        for one in desk.told(id, told):
            told = one.number
            if one.role != "customer" and one.answer is None:
                console.print(Text(one.text))
        if desk.state(id).side == "waiting":
            console.print("waiting for a colleague; /bot asks the bot again", style="dim")


def turn(
    bot: Bot, desk: Conversations, id: str, said: str, heard: Callable[[str], None] = lambda _: None
) -> Answer | None:
    """One turn of a customer and what follows from it; None where the bot is silent, for a person is asked or there.

    Args:
        heard: is told each sentence of a chat model as it comes.
    """
    history = desk.turns(id)
    if desk.happen(id, "customer_speaks", text=said).side != "bot":
        return None
    answer: Answer | None = None
    for part in bot.stream(said, history):
        if isinstance(part, Answer):
            answer = part
        else:
            heard(part)
    assert answer is not None
    try:
        if answer.kind == "handoff":
            desk.happen(id, "ask")
            return None
        desk.answered(id, answer)
    except NotAllowed:  # while the bot thought, a person was asked for, or the conversation ended
        return None
    return answer
