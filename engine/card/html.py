"""A card as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from html import escape

from engine.card.facts import Block, Card, Chart, Prose, Source, Table

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5c6773; --rule: #dfe3e8; --page: #fff; --mark: #2864b4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa5b1; --rule: #333c47; --page: #14191f; --mark: #6ea8f0; }
}
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.9rem; }
h2 { margin: 2.6rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); font-size: 1.25rem; }
.summary { margin: .3rem 0 0; color: var(--soft); }
li { margin: .3rem 0; }
ul { margin: .5rem 0; padding-left: 1.2rem; } li, p { max-width: 54rem; }
.blocks { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
.blocks > p, .blocks > ul, .blocks > details { flex-basis: 100%; }
.wide { overflow: auto; max-width: 100%; max-height: 40rem; }
table { margin: .8rem 0 1rem; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption, figcaption { padding: .3rem 0; text-align: left; font-size: .9rem; font-weight: 600; }
table caption { font-size: 1em; }
th, td { padding: .28rem 1.4rem .28rem 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; }
td { overflow-wrap: anywhere; }
td.number { overflow-wrap: normal; white-space: nowrap; }
figure { margin: .8rem 0 1rem; max-width: 100%; }
p { margin: .5rem 0; }
figure small { display: block; max-width: 26rem; color: var(--soft); }
svg { max-width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg text.on { fill: var(--page); }
.grid { stroke: var(--rule); } .diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
.curve, .range { fill: none; stroke: var(--mark); stroke-width: 2; } .gap { stroke: var(--mark); stroke-width: 2; }
.gap { stroke-opacity: .4; } .dot, .cell { fill: var(--mark); }
pre { padding: .8rem; border: 1px solid var(--rule); overflow-x: auto; font-size: .85rem; line-height: 1.4; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; }
  figure { break-inside: avoid; } .wide { max-height: none; } }
"""


def html(card: Card) -> str:
    """The whole document. Every text of the model's is escaped."""
    sections = "\n".join(
        f"<section>\n<h2>{escape(section.title)}</h2>\n"
        f'<div class="blocks">\n{"".join(map(_block, section.blocks))}</div>\n</section>'
        for section in card.sections
    )
    return page(card.title, card.summary, sections)


def page(title: str, summary: str, sections: str) -> str:
    """A document in the card's style that itself forbids scripts.

    Args:
        sections: markup, its texts escaped.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{escape(title)}</h1>\n<p class="summary">{escape(summary)}</p>\n</header>\n'
        f"<main>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Chart(title=title, svg=svg, told=told):
            caption = f"<figcaption>{escape(title)}</figcaption>"
            return f"<figure>{caption}{svg}<small>{escape(told)}</small></figure>\n"
        case Prose(texts=texts, listed=True):
            return "<ul>\n" + "".join(f"<li>{escape(text)}</li>\n" for text in texts) + "</ul>\n"
        case Prose(texts=texts):
            return "".join(f"<p>{escape(text)}</p>\n" for text in texts)
        case Source(title=title, text=text):
            return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>\n"


def _table(table: Table) -> str:
    numbers = [all(_is_number(row[place]) for row in table.rows) for place in range(len(table.columns))]

    def cells(tag: str, values: tuple[str, ...]) -> str:
        kinds = (' class="number"' if number else "" for number in numbers)
        return "".join(f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    body = "".join(f"<tr>{cells('td', tuple(row))}</tr>\n" for row in table.rows)
    head = f"<thead><tr>{cells('th', table.columns)}</tr></thead>"
    return f'<div class="wide"><table>{caption}{head}\n{body}</table></div>\n'


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True
