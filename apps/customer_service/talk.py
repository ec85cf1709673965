"""Talk: a conversation on a terminal."""

from __future__ import annotations

from apps.customer_service.answers import Answer
from apps.customer_service.bot import Bot
from apps.customer_service.conversations import Conversations
from apps.customer_service.question import Question
from apps.customer_service.shown import show, why

HELP = "/why, /human, /good, /bad, /help, /quit"


def talk(bot: Bot, customer: str) -> None:
    """Read turns until /quit, Ctrl-D or Ctrl-C; everything is stored as it is said."""
    from rich.console import Console

    console = Console()
    console.print(f"Ask away; {HELP}", style="dim")
    desk = Conversations(bot.knowledge.database, bot.knowledge.tenant)
    id = desk.open(customer)
    last: Answer | None = None
    while True:
        try:
            said = console.input("[bold]you[/bold] ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        match said:
            case "":
                continue
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
            case "/human":
                desk.happen(id, "ask")
                console.print(desk.turns(id)[-1].text)
            case _:
                last = turn(bot, desk, id, said) or last
                if desk.state(id).side == "bot" and last:
                    show(last)
                else:
                    console.print(desk.turns(id)[-1].text)


def turn(bot: Bot, desk: Conversations, id: str, said: str) -> Answer | None:
    """One turn of a customer and what follows from it; None where the bot is silent, for a person is asked or there."""
    history = desk.turns(id)
    lang = Question.of(said).lang
    if desk.happen(id, "customer_speaks", text=said).side != "bot":
        desk.happen(id, "ask", lang=lang)
        return None
    answer = bot.answer(said, history)
    if answer.kind == "handoff":
        desk.happen(id, "ask", lang=lang)
        return None
    desk.answered(id, answer)
    return answer
