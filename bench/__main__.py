"""`python -m bench` lists the benchmarks; `python -m bench NAME [--seeds N] [--json]` runs one."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time

import bench.readme
from bench import contract
from engine import errors

NAMES = {
    "phrasebank": "Financial PhraseBank (50% agreement), trained on its own train split",
    "transfer": "the same test set, by the model trained on Keel's own data alone",
    "multilingual": "own data in both languages, five folds: Chinese, and English against minilm",
    "export": "ONNX int8 against transformers.pipeline: speed, quality, independence of neighbours",
    "leaks": "planted leaks found by the leakage gate, and clean pairs named by mistake",
    "feed": "planted surges and decoys in Keel's own feed",
    "surges": "the feed's surges at its own times and at twenty others",
    "shuffled": "fifty months of usual news: false alarms a day against the budget",
    "nab": "NAB's counts of tweets: the volume detector against a windowed Gaussian",
    "soak": "a million items along the monitor's road without its models: speed and memory",
    "crash_monitor": "finance-monitor killed a hundred times: its alerts against those of a run left alone",
    "throughput": "items/s of the whole monitor against a BERT-base pipeline, and of the cascade against its champion",
    "fuzz": "ten minutes of feeds full of whatever may come: crashes, and entries not counted once",
    "company_sentiment": "headlines whose companies have opposite news: the sentiment towards each",
    "company_names": "names of companies in headlines, against capital letters",
    "banking77": "Banking77: full tuning and LoRA",
    "federated": "Banking77 by four clients with skewed labels, FedAvg over LoRA, against all rows pooled",
    "fewshot": "Banking77 with ten rows a label: contrastive tuning against the head alone",
    "clinc": "CLINC150: intents, and questions that none of them fits",
    "wnut": "WNUT-17 entities: full tuning and every adapter",
    "robust": "PhraseBank under typing errors: adversarial training and noise copies",
    "distill": "a three-layer student of the Banking77 model",
    "extend": "seventy Banking77 intents learn seven more without forgetting",
    "generate": "smollm2 tuned by LoRA on a shop platform's support articles",
    "prompts": "PhraseBank by label descriptions, a chat model's likelihoods, and soft prompts",
    "frozen": "seconds saved where the frozen layers' outputs are remembered",
    "train_speed": "seconds of a Banking77 training against plain Trainer",
    "answers": "support-bot on its own questions: right article, cited sentence, abstention",
    "followups": "turns that lean on others, and what that costs turns that stand alone",
    "stackfaq": "StackFAQ's 1,249 queries, searched without tuning",
    "faithful": "cited sentences taken away; orders in documents and messages",
    "chat_tuning": "smollm2 tuned by LoRA on past dialogues",
    "ingest": "794 articles of a shop platform ingested, and again unchanged",
    "ask_latency": "milliseconds of an answer, with the cross-encoder and without",
    "games": "Amazon Games: next item among 21, by popularity, each part and all fused; seconds of training",
    "cold": "the same where the target was hardly ever taken: against popularity and untuned text",
    "rank_latency": "a list of 300 candidates over HTTP: one client and eight, with the cross-encoder and without",
    "batch_score": "a million rows of users and candidates scored from Parquet: speed, memory, each row alone",
    "offpolicy": "off-policy estimates of a simulated shop: how often their intervals hold the truth",
    "oracle": "simulated shops: nDCG beside the oracle's, and calibration on the next week",
    "loop": "a scripted week of corrections, a fifth hostile; a stolen account; a new intent: who is promoted",
    "week": "a scripted week over HTTP: customers, analysts, shoppers, a fifth hostile; then lies that pass vetting",
    "crash_retrain": "retrain, promote and rollback killed at thirty points each: one champion, and they go on",
    "serve": "sixteen clients against engine serve: texts a second beside the Predictor, and a promotion meanwhile",
    "support_load": "sixteen customers at once against support-bot serve",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*NAMES, "readme"], help="a benchmark, or readme for its table")
    parser.add_argument(
        "--seeds", type=int, default=1, help="how many seeds (default 1); finished ones are not run again"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, text in NAMES.items():
            print(f"{name:14}{text}")
        return
    if arguments.name == "readme":
        print(bench.readme.table())
        return
    start = time.monotonic()
    found = importlib.import_module(f"bench.{arguments.name}").run(seeds=arguments.seeds)
    result = contract.document(arguments.name, found, time.monotonic() - start)
    contract.keep(result)
    if arguments.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return
    for key, value in result["figures"].items():
        low_high = result["intervals"].get(key)
        print(
            f"{arguments.name}  {key:22}{value:10.4f}"
            + (f"   95% {low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else "")
        )


if __name__ == "__main__":
    errors.run(main)
