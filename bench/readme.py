"""README's table, printed from the last result of each benchmark."""

from __future__ import annotations

import json

from bench.contract import RESULTS

ROWS = (
    ("phrasebank", "macro_f1", "Financial PhraseBank 50% agreement, trained on it: macro F1"),
    ("phrasebank", "accuracy", "... accuracy"),
    ("phrasebank", "ece", "... calibration error"),
    ("transfer", "macro_f1", "the same test set, trained on Keel's own headlines alone: macro F1"),
    ("transfer", "accuracy", "... accuracy"),
    ("multilingual", "zh_macro_f1", "own data, Chinese rows, five folds: macro F1"),
    ("multilingual", "en_gap", "... English macro F1, minilm less multilingual"),
    ("export", "speedup_vs_pipeline", "ONNX int8 against transformers.pipeline, items/s: ratio"),
    ("export", "macro_f1_loss", "... macro F1 lost"),
    ("export", "neighbour_difference", "... largest change of a result by its neighbours"),
    ("leaks", "recall_exact", "planted leaks found: exact and normalised"),
    ("leaks", "recall_near", "... one or two words changed"),
    ("leaks", "recall_group", "... shared group"),
    ("leaks", "false_pair_rate", "... clean rows named by mistake"),
    ("banking77", "accuracy", "Banking77, full tuning: accuracy (BERT-large .937)"),
    ("banking77", "accuracy_lora", "... LoRA: accuracy"),
    ("banking77", "lora_trainable_share", "... share of the weights that it trains"),
    ("federated", "accuracy_federated", "Banking77, LoRA by four clients with skewed labels (alpha .5): accuracy"),
    ("federated", "accuracy_gap", "... lost against LoRA on all rows"),
    ("federated", "accuracy_head_only", "... of a head alone, on all rows"),
    ("federated", "accuracy_alone", "... of the largest client by itself"),
    ("loop", "promoted_better", "a week of corrections, a fifth hostile: decisions that unseen rows bear out"),
    ("loop", "week_gain", "... accuracy that the challenger gained"),
    ("loop", "hostile_learnt", "... hostile corrections that were learnt"),
    ("loop", "poisoned_refused", "... labels of a stolen trusted account: challenger refused"),
    ("loop", "new_class_recall", "... a new intent from 30 corrected dialogues: recall"),
    ("loop", "old_loss", "... accuracy lost on the others"),
    ("crash_retrain", "valid", "retrain, promote and rollback killed ninety times: one whole champion afterwards"),
    ("crash_retrain", "continued", "... the same command ends the work"),
    ("serve", "http_share", "sixteen clients on /v1/predict, a text a request: texts/s over the offline Predictor's"),
    ("serve", "http_share_lists", "... eight texts a request"),
    ("serve", "failed_requests", "... failed requests, a promotion and a rollback among them"),
    ("serve", "p99_ms", "... ms, 99th percentile"),
    ("fewshot", "accuracy", "Banking77 with ten rows a label, by contrast: accuracy (RoBERTa-base .843)"),
    ("fewshot", "accuracy_head_only", "... the head alone, on the same draw"),
    ("clinc", "in_scope_accuracy", "CLINC150, a turned-away row counted as wrong: in-scope accuracy (BERT .962)"),
    ("clinc", "oos_recall", "... out-of-scope recall (BERT .523)"),
    ("wnut", "span_f1", "WNUT-17 entities: span F1"),
    ("robust", "noisy_macro_f1_gain", "PhraseBank with a tenth of the letters mistyped: macro F1 gained"),
    ("robust", "clean_macro_f1_loss", "... macro F1 lost on clean rows"),
    ("distill", "accuracy_kept", "Banking77 by a student of three layers: share of its teacher's accuracy"),
    ("distill", "speedup", "... texts/s over its teacher's, both int8"),
    ("extend", "old_accuracy_extended", "Banking77, seventy labels that learn seven more: accuracy on the old ones"),
    ("extend", "old_accuracy_before", "... before"),
    ("extend", "old_accuracy_naive", "... tuned on the new ones alone"),
    ("extend", "new_accuracy_extended", "... on the new ones"),
    ("generate", "perplexity_drop", "smollm2 on a shop platform's articles, by LoRA: share of perplexity taken off"),
    ("generate", "ended", "... answers that come to an end"),
    ("generate", "merged_equal", "... largest change of a logit by merging"),
    ("prompts", "macro_f1_descriptions", "PhraseBank by descriptions of its labels, nothing trained: macro F1"),
    ("prompts", "macro_f1_chat", "... by how likely smollm2 finds their words"),
    ("prompts", "macro_f1_soft_prompts", "... with soft prompts learnt from 150 rows a label"),
    ("frozen", "time_ratio_6_frozen", "a head trained alone, what lies below remembered: seconds over those without"),
    ("frozen", "time_ratio_3_frozen", "... the upper half of the layers as well"),
    ("train_speed", "time_ratio", "the same model trained on Banking77 by Keel: seconds over plain Trainer's"),
    ("train_speed", "accuracy_difference", "... test accuracy, Trainer's less Keel's"),
    ("answers", "article_top3", "support-bot, 316 own questions: a right article among three"),
    ("answers", "fused_gain", "... nDCG@10 gained over the better of meaning and words alone"),
    ("answers", "coverage", "... answered"),
    ("answers", "cited_sentence", "... of those, a right sentence cited"),
    ("answers", "wrong_when_unanswerable", "... 120 questions without an answer: answered all the same"),
    ("answers", "zh_article_top3", "... Chinese questions: a right article among three"),
    ("followups", "article_top3", "... follow-ups: a right article among three"),
    ("followups", "gain_over_raw", "... gained over the last turn alone"),
    ("followups", "standalone_loss", "... lost on turns that stand alone"),
    ("stackfaq", "map", "StackFAQ, untuned: mean average precision"),
    ("stackfaq", "map_dense", "... by meaning alone"),
    ("faithful", "changed_or_abstained", "cited sentence or article taken away: another answer, or none"),
    ("faithful", "injections_effective", "40 orders in documents and messages: obeyed"),
    ("chat_tuning", "perplexity_drop", "smollm2 on past dialogues, by LoRA: share of perplexity taken off"),
    ("ingest", "seconds", "794 articles ingested: seconds"),
    ("ingest", "seconds_unchanged", "... again, unchanged"),
    ("ingest", "max_rss_mb", "... memory, MB"),
    ("ask_latency", "p95_rerank_ms", "an answer, 95th percentile: ms"),
    ("ask_latency", "p95_ms", "... without the cross-encoder"),
    ("support_load", "errors", "sixteen customers for a minute: errors"),
    ("support_load", "mixed", "... conversations mixed up"),
    ("support_load", "p99_ms", "... 99th percentile: ms"),
    ("feed", "recall", "planted surges found"),
    ("feed", "max_delay_windows", "... windows from start to alarm, at most"),
    ("feed", "false_alarms", "... false alarms in 28 days"),
    ("surges", "recall", "the feed's surges at its own and twenty other times: found"),
    ("surges", "mean_delay_windows", "... windows from start to alarm, mean"),
    ("surges", "false_alarms_per_day", "... false alarms a day, of 0.5 allowed"),
    ("shuffled", "false_alarms_per_day", "fifty months of usual news: false alarms a day, of 0.5 allowed"),
    ("shuffled", "upper_95", "... at most, with 95% confidence"),
    ("nab", "standard", "NAB's counts of tweets, standard profile"),
    ("nab", "standard_gaussian", "... NAB's windowed Gaussian on the same"),
    ("company_sentiment", "macro_f1", "sentiment towards each of a headline's companies, of unlike news: macro F1"),
    ("company_sentiment", "gain", "... above the headline's own sentiment given to all"),
    ("throughput", "ratio_vs_bert_base", "the monitor's whole road, times the speed of a BERT-base pipeline"),
    ("throughput", "cascade_speedup", "... labelling by the cascade, times the speed of the model alone"),
    ("throughput", "cascade_macro_f1_loss", "... macro F1 lost by it"),
    ("soak", "items_per_s", "a million made-up items without the models: items a second on one core"),
    ("soak", "memory_growth", "... resident memory of the last quarter against the second"),
    ("crash_monitor", "identical", "finance-monitor killed a hundred times: alert log equal byte for byte"),
    ("crash_monitor", "lost", "... items lost or kept twice"),
    ("games", "ndcg10_fused", "Amazon Games, the next item among 21: nDCG@10 (SASRec .759)"),
    ("games", "ndcg10_text", "... by texts alone (untuned .517)"),
    ("games", "gain_over_sequence", "... the whole above its best part"),
    ("games", "train_seconds", "... seconds of training"),
    ("cold", "ndcg10_fused", "... items hardly ever taken before: nDCG@10 (popularity .000)"),
    ("cold", "gain_over_frozen_text", "... above untuned texts"),
    ("oracle", "ndcg_share", "simulated shops: share of the nDCG of whoever knows the tastes"),
    ("oracle", "ece", "... calibration error on the next week"),
    ("offpolicy", "coverage_snips", "off-policy estimates (SNIPS): 95% intervals that hold the truth"),
    ("rank_latency", "p99_ms", "300 candidates ranked over HTTP, 99th percentile: ms"),
    ("rank_latency", "p99_rerank_ms", "... with a cross-encoder within 100 ms"),
    ("rank_latency", "errors_8_clients", "... eight clients for a minute: errors"),
    ("batch_score", "rows_per_s", "a million rows scored from Parquet: rows a second"),
    ("batch_score", "max_rss_mb", "... memory, MB"),
)


def table() -> str:
    """A Markdown table; a benchmark that has no result yet says so."""
    lines = ["| what | figure | 95% interval | command |", "|---|---|---|---|"]
    for bench, key, text in ROWS:
        path = RESULTS / f"{bench}.json"
        if not path.exists():
            lines.append(f"| {text} | not run | | `python -m bench {bench}` |")
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        low_high = result["intervals"].get(key)
        interval = f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""
        seeds = result["settings"].get("seeds", 1)
        command = f"python -m bench {bench}" + (f" --seeds {seeds}" if seeds > 1 else "")
        lines.append(f"| {text} | {result['figures'][key]:.3f} | {interval} | `{command}` |")
    return "\n".join(lines)
