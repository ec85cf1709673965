"""The pages hold what they promise: commands that parse, references that leave nothing out, an image that builds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.reader import DOCS, ROOT, blocks, script

PAGES = [DOCS / "tutorial.md", *sorted(DOCS.glob("how-to/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_commands_that_bash_can_read(page: Path) -> None:
    found = blocks(page)
    assert len(found) == page.read_text(encoding="utf-8").count("```bash\n")
    assert any(block.how != "not run" for block in found) or page.stem == "gpu"
    done = subprocess.run(["bash", "-n", "-c", script(page)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reference_of_commands_names_each_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    import commands

    page = commands.page()
    for name in (
        "engine train",
        "engine models rollback",
        "support-bot ask",
        "finance-monitor backtest",
        "recommender rank",
    ):
        assert f"# {name}\n" in page
    assert "--set PATH=VALUE" in page
    assert "Example: " not in page


def test_the_reference_of_recipe_keys_tells_types_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    monkeypatch.chdir(ROOT)
    import keys

    page = keys.recipe()
    assert "| `epochs` | Count | `4` |" in page
    assert "Annotated" not in page
    for section in ("data.split", "tuning.extend", "gates"):
        assert f"## {section}\n" in page


def test_the_image_carries_what_the_package_is_made_of() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    for source in [name for names in copied for name in names]:
        assert (ROOT / source).exists()
        assert source in allowed
    stages = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    assert len(stages) == 2
    last = lines[stages[-1] :]
    assert any(re.fullmatch(r"USER [1-9]\d*", line) for line in last)
    assert any(line.startswith("HEALTHCHECK ") for line in last)
    extras = set(next(line for line in lines if line.startswith("ARG EXTRAS=")).partition("=")[2].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras <= set(project["optional-dependencies"])
    assert "keel" in project["scripts"]  # its entry point


def test_the_image_is_clean_by_hadolint() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed; make setup installs it")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_names_only_what_is_there() -> None:
    given: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services, volumes = given["services"], given["volumes"]
    assert set(services) == {"keel", "database", "queue"}
    for service in services.values():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in volumes
        for needed in service.get("depends_on", {}):
            assert "healthcheck" in services[needed]
        assert ":latest" not in service.get("image", "")
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    assert "env_file" not in services["database"], "the webhooks' and the chat model's secrets are not the database's"
    assert set(services["database"]["environment"]) == {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
    asked = re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    sample = (ROOT / "deploy.env.example").read_text(encoding="utf-8")
    for name in asked:
        assert f"\n{name}=\n" in sample  # a name without a secret


def test_every_command_of_compose_is_given_the_file_that_compose_yaml_stands_on() -> None:
    """Variables are set in, and a missing one refused, at each command and not at `up` alone."""
    commands = re.findall(r"^docker compose .+$", (DOCS / "how-to/deploy.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 3
    assert [one for one in commands if not one.startswith("docker compose --env-file deploy.env ")] == []
