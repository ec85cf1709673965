"""Reference: pages that mkdocs makes of the code at every build, so that they cannot be out of step with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import commands
import figures
import http_api
import keys
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGES = {
    "reference/commands.md": commands.page,
    "reference/recipe.md": keys.recipe,
    "reference/recommender-settings.md": keys.recommender,
    "reference/http.md": http_api.page,
    "explanation/figures.md": figures.page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that stand in docs/."""
    for place, page in PAGES.items():
        files.append(File.generated(config, place, content=page()))
    return files
