"""Terminal: labelling by hand, one text after the other; each label is stored as it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.feedback.choice import By
from engine.feedback.labelling import Labelling, Task

if TYPE_CHECKING:
    from rich.console import Console

    from engine.tasks.heads import HeadSpec

SHOWN = 9
"""Labels that are offered by number, the most probable first; others are named."""


def label(labelling: Labelling, count: int, by: By = "all") -> int:
    """Ask for labels until `count` texts have them, q, Ctrl-D or Ctrl-C; how many were labelled."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    tasks = labelling.tasks(count, by=by)
    if not tasks:
        console.print("nothing to label: every text with consent has a label")
    done = 0
    try:
        for number, task in enumerate(tasks, 1):
            console.print()
            console.print(Text(f"{number}/{len(tasks)}  {task.feedback.app}  {task.feedback.time[:10]}", style="dim"))
            console.print(Text(task.feedback.text, style="bold"))
            labels = {
                head.name: value for head in labelling.heads if (value := _asked(console, task, head)) is not None
            }
            if labels:
                labelling.label(task, labels)
                done += 1
    except (EOFError, KeyboardInterrupt):
        console.print()
    return done


def _asked(console: Console, task: Task, head: HeadSpec) -> str | list[str] | None:
    """What the person says of one head; None: it is skipped.

    Raises:
        EOFError: the person ends.
    """
    from rich.text import Text

    of = task.heads[head.name]
    offered = task.ranked(head.name)[:SHOWN]
    line = Text(f"{head.name}: ", style="cyan")
    for number, name in enumerate(offered, 1):
        line.append(f" {number} {name} {of[name]:.2f} ", style="bold" if number == 1 else "none")
    if len(of) > SHOWN:
        line.append(f" … {len(of) - SHOWN} more by name", style="dim")
    console.print(line)
    while True:
        said = console.input(f"{head.name}> ").strip()
        if said == "q":
            raise EOFError
        if said == "s":
            return None
        parts = [part.strip() for part in said.split(",")] if head.multi_label and said else [said]
        found = [_meant(part, offered, head.labels) for part in parts]
        unknown = [part for part, name in zip(parts, found, strict=True) if name is None]
        if not unknown:
            names: list[Any] = list(dict.fromkeys(found))
            return names if head.multi_label else names[0]
        if console.input(f"{', '.join(unknown)}: new; take it as a new label? y/n> ").strip().lower() in ("y", "yes"):
            names = list(dict.fromkeys(name or part for part, name in zip(parts, found, strict=True)))
            return names if head.multi_label else names[0]


def _meant(said: str, offered: list[str], labels: tuple[str, ...]) -> str | None:
    """The label that was meant: by number, by name, by the one name that begins so; None: none is."""
    if said == "":
        return offered[0]
    if said.isdecimal() and 1 <= int(said) <= len(offered):
        return offered[int(said) - 1]
    if said in labels:
        return said
    begun = [name for name in labels if name.casefold().startswith(said.casefold())]
    return begun[0] if len(begun) == 1 else None
