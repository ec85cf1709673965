"""Opening: what answers for a stored version, a predictor or, of a chat model, a generator."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError, StoreError
from engine.generator import Generator
from engine.predictor import Backend, Predictor, form
from engine.store import Store
from engine.tasks.heads import ModelSpec


def load(reference: str, *, backend: Backend = "auto", store: Store | None = None) -> Predictor:
    """The stored model "name", "name@alias" or "name@number", ready to answer; a bare name means its champion.

    Raises:
        InputError: there is no such version or it lacks the backend.
        StoreError: the version does not load.
    """
    version = (store or Store()).get(reference)
    predictor = opened(version.folder, backend=backend, model=str(version))
    predictor.version = version
    return predictor


def opened(folder: Path, *, backend: Backend = "auto", model: str = "") -> Predictor:
    """The model in a version's folder, whatever it answers.

    Raises:
        InputError, StoreError: as `load`.
    """
    form(folder, backend, model)
    try:
        spec = ModelSpec.read(folder / "model")
        if spec.task == "generate":
            return Generator(folder, spec, model=model or folder.name)
    except InputError:
        raise
    except Exception as fault:
        raise StoreError(f"{model or folder}: does not load ({fault}); see: engine models verify") from None
    return Predictor.open(folder, backend=backend, model=model)
