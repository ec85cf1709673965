"""Shown: an answer on a terminal, with its sources."""

from __future__ import annotations

from apps.customer_service.answers import Answer


def show(answer: Answer, *, text: bool = True) -> None:
    """The text, unless it is on the screen already, and under it what each sentence was taken from."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if text:
        console.print(Text(answer.text))
    for number, cited in enumerate(answer.citations, 1):
        place = f"[{number}] {cited.title} ({cited.document}@{cited.version}, {cited.start}-{cited.end})"
        console.print(Text(place, style="dim"))


def why(answer: Answer) -> None:
    """What decided."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    intent = answer.why.get("intent") or "none"
    console.print(Text(f"{answer.kind}; intent {intent}; confidence {answer.confidence:.3f}", style="bold"))
    if "bar" in answer.why:
        console.print(Text(f"an answer needs {answer.why['bar']:.3f}; searched for: {answer.why['question']}"))
    if passages := answer.why.get("passages"):
        table = Table("document", "heading", "score", "cosine", "bm25")
        for one in passages:
            cells = (one["document"], one["heading"], *(f"{one[key]:.3f}" for key in ("score", "cosine", "bm25")))
            table.add_row(*(Text(cell) for cell in cells))
        console.print(table)
    console.print(Text("models: " + ", ".join(answer.models), style="dim"))
