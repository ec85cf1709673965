"""`make check` beyond its tools: no circle of imports, the data's originality, the documents' examples, the change log.

python -m tests.checks
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MAX_SHARED = 0.05
MAX_TERMS = 0.6
LABELLED = {f"data/finance/{name}.jsonl": "id" for name in ("headlines", "contrasts", "opposites")} | {
    "data/catalog/items.jsonl": "item_id"
}
"""Each file, and the name of its ids; a text is a title, with its description where there is one."""
AFTER = ("|", "||", "&", "&&", ">", ">>", ";")
"""Words of a shell with which a command of ours is over."""


def circles() -> Iterator[str]:
    """No module imports another that imports it, by whatever way round; imports for types alone do not count."""
    import grimp

    graph = grimp.build_graph("engine", "apps", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as fault:
        yield " is imported by ".join(fault.args[1])


def originality() -> Iterator[str]:
    """At most 5% of a labelled file's texts share their skeleton or 60% of their word 4-grams with another."""
    for name, key in LABELLED.items():
        rows = [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
        shared = shared_texts([". ".join(filter(None, (row["title"], row.get("description")))) for row in rows])
        if shared > MAX_SHARED * len(rows):
            yield f"{name}: {shared} of {len(rows)} texts repeat another's skeleton or 4-grams, over {MAX_SHARED:.0%}"
        for field in (key, "title"):
            for value, count in Counter(row[field] for row in rows).items():
                if count > 1:
                    yield f"{name}: {field} {value!r} stands {count} times"


def shared_texts(texts: list[str]) -> int:
    """How many texts share their skeleton, or 60% of their word 4-grams, with another of the list."""
    skeletons = Counter(map(skeleton, texts))
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    grams = [_grams(text) for text in texts]
    for number, found in enumerate(grams):
        for gram in found:
            holders[gram].add(number)
    shared = 0
    for number, text in enumerate(texts):
        others = Counter(other for gram in grams[number] for other in holders[gram] if other != number)
        common = others.most_common(1)[0][1] if others else 0
        shared += skeletons[skeleton(text)] > 1 or common > 0.6 * len(grams[number]) > 0
    return shared


def skeleton(text: str) -> str:
    """The text with numbers and capitalised words blanked."""
    blanked = ["_" if re.search(r"\d", word) or word[0].isupper() else word for word in _words(text)]
    return re.sub(r"_(?: _)+", "_", " ".join(blanked))


def support_data() -> Iterator[str]:
    """Each sentence labelled as an answer stands in its article; no question is asked twice, in whatever file, and no
    past dialogue asks a test question in nearly its words."""
    from engine.text.normalise import normalised
    from engine.text.terms import terms

    folder = ROOT / "data" / "support"
    articles = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("articles/*/*.md")}
    asked: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    tested: list[tuple[set[str], str]] = []
    for path in [*sorted(folder.glob("queries/*.jsonl")), folder / "dialogues.jsonl"]:
        name = path.relative_to(ROOT)
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            for article in filter(None, [row["article"], *row.get("also", [])]):
                if article not in articles:
                    yield f"{name}: {row['id']}: no article {article}"
            named = [articles.get(article, "") for article in (row["article"], *row.get("also", []))]
            for sentence in row.get("sentences", []):
                if not any(sentence in text for text in named):
                    yield f"{name}: {row['id']}: in none of its articles: {sentence}"
            text = row["text"] if "text" in row else row["turns"][0]["text"]
            texts.setdefault(str(name), []).append(text)
            key = normalised(text + "".join(turn["text"] for turn in row.get("history", [])))
            if key in asked:
                yield f"{name}: {row['id']}: asked before, {asked[key]}: {text}"
            asked[key] = f"{name} {row['id']}"
            own = set(terms(text))
            if path.name == "test.jsonl" and not row.get("history"):
                tested.append((own, row["id"]))
            if path.name == "dialogues.jsonl":
                for other, test in tested:
                    if len(own | other) > 3 and len(own & other) >= MAX_TERMS * len(own | other):
                        yield f"{name}: {row['id']} shares {MAX_TERMS:.0%} of its terms with test question {test}"
    for name, found in texts.items():
        if (shared := shared_texts(found)) > MAX_SHARED * len(found):
            yield f"{name}: {shared} of {len(found)} texts repeat another's skeleton or 4-grams, over {MAX_SHARED:.0%}"


def feed_apart() -> Iterator[str]:
    """No text of the feed, or of the test headlines, stands in a training file."""
    from engine.text.normalise import normalised

    folder = ROOT / "data" / "finance"
    names = ("headlines", "contrasts", "news", "opposites")
    headlines, contrasts, *apart = (
        {normalised(json.loads(line)["title"]) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()}
        for name in names
    )
    for name, texts in zip(names[2:], apart, strict=True):
        for text in sorted(texts & (headlines | contrasts)):
            yield f"data/finance/{name}.jsonl: stands in a training file too: {text}"


def examples() -> Iterator[str]:
    """Every command in the documents and in the commands' own help is one that the command line knows."""
    import importlib

    import typer

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    known = {
        name: typer.main.get_command(importlib.import_module(place.partition(":")[0]).app)
        for name, place in scripts.items()
    }
    sources = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/**/*.md")]
    for path in [*sources, *ROOT.glob("engine/*cli.py"), *ROOT.glob("apps/*/*cli.py")]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(rf"^\s*(?:\$ |Example: )?((?:{'|'.join(known)}) (?!= )[^\n`]+)$", text, re.MULTILINE):
            words = list(takewhile(lambda word: word not in AFTER, shlex.split(line.split("  #")[0])))
            command: Any = known[words[0]]
            rest = words[1:]
            while rest and rest[0] in getattr(command, "commands", {}):
                command, rest = command.commands[rest[0]], rest[1:]
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            for word in rest:
                if word.startswith("--") and word.split("=")[0] not in options | {"--help"}:
                    yield f"{path.relative_to(ROOT)}: {line!r}: no option {word}"
            if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
                yield f"{path.relative_to(ROOT)}: {line!r}: no command {rest[0]}"
            for word in rest:
                if re.match(r"(recipes|data)/", word) and not (ROOT / word).exists():
                    yield f"{path.relative_to(ROOT)}: {line!r}: no file {word}"


def change_log() -> Iterator[str]:
    """The change log has a section for the version."""
    from engine import __version__

    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if version != __version__:
        yield f"pyproject.toml says {version}, engine.__version__ {__version__}"
    if f"## [{version}]" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no section for {version}"


def main() -> int:
    faults = 0
    for check in (circles, originality, support_data, feed_apart, examples, change_log):
        found = list(check())
        print(f"{check.__name__:12} {'ok' if not found else f'{len(found)} faults'}")
        for fault in found:
            print(f"  {fault}")
        faults += len(found)
    return 1 if faults else 0


def _words(text: str) -> list[str]:
    return re.findall(r"[\u4e00-\u9fff]|[\w'’-]+", text)


def _grams(text: str) -> list[tuple[str, ...]]:
    words = [word.lower() for word in _words(text)]
    return [tuple(words[start : start + 4]) for start in range(len(words) - 3)]


if __name__ == "__main__":
    sys.exit(main())
