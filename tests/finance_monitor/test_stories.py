"""Stories: what is told again counts once, in whatever words; what only looks alike counts apart."""

from __future__ import annotations

import json
import pickle
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.finance_monitor import copies, recent
from apps.finance_monitor.copies import Copies, is_copy, sketch
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.recent import Recent, Story
from apps.finance_monitor.stories import SAME_STORY, Stories
from apps.finance_monitor.windows import Key, Mention, Window
from engine import Embedder
from engine.text.normalise import normalised
from tests.finance_monitor.test_alarms import START, alerts, item, usual

PARAPHRASES = Path(__file__).parent / "paraphrases.txt"
"""Two events, each as fifty outlets tell it: the first in words that are near each other, the second from all sides."""
WIDTH = 384


@pytest.fixture(scope="module")
def vectors(session_home: Path) -> dict[str, NDArray[np.float32]]:
    titles = PARAPHRASES.read_text(encoding="utf-8").split("\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(session_home))
        return dict(zip(titles, Embedder("minilm").embed(titles), strict=True))


def events() -> list[list[str]]:
    return [part.splitlines() for part in PARAPHRASES.read_text(encoding="utf-8").split("\n\n")]


def grouped(titles: list[str], vectors: dict[str, NDArray[np.float32]], stories: Stories | None = None) -> list[str]:
    """The story of each title at the end, a minute after the other."""
    stories = stories or Stories()
    found: list[str] = []
    for number, title in enumerate(titles):
        told = stories.assign(str(number), title, vectors.get(title), START + timedelta(minutes=number))
        found = [told.story if story in told.same else story for story in (*found, told.story)]
    return found


def towards(degrees: float, plane: int = 1) -> NDArray[np.float32]:
    """A unit vector so far from the first axis."""
    vector = np.zeros(WIDTH, dtype=np.float32)
    vector[0], vector[plane] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


@pytest.mark.parametrize("event", [0, 1])
def test_one_story_in_fifty_paraphrases_is_at_most_three_and_raises_no_alarm(
    event: int, vectors: dict[str, NDArray[np.float32]]
) -> None:
    titles = events()[event]
    assert len(set(titles)) == 50
    for seed in range(3):
        random.Random(seed).shuffle(titles)
        assert len(set(grouped(titles, vectors))) <= 3
    told = []
    for number, title in enumerate(titles):
        time = START + timedelta(minutes=4 * 1440 + 600 + number)
        news = NewsItem(f"p{number}", time, time, title, f"outlet{number}")
        told.append(Labelled(news, "en", Label("negative", ("litigation",), "m"), vectors[title]))
    assert alerts([*(_widened(one) for one in usual(5)), *told]) == []


def _widened(one: Labelled) -> Labelled:
    assert one.vector is not None
    draw = np.random.default_rng(int(one.vector.argmax()))
    vector = draw.normal(size=WIDTH).astype(np.float32)
    return Labelled(one.item, one.language, one.label, vector / np.linalg.norm(vector))


def test_two_events_are_never_one(vectors: dict[str, NDArray[np.float32]]) -> None:
    first, second = events()
    mixed = [title for pair in zip(first, second, strict=True) for title in pair]
    found = grouped(mixed, vectors)
    assert set(found[::2]).isdisjoint(found[1::2])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Harrow Bank must pay $412 million, jury finds", "BREAKING: Harrow Bank must pay $412 million - jury finds"),
        ("Harrow Bank must pay $412 million, jury finds", "UPDATE 1-Harrow Bank must pay $412 million, jury finds"),
        ("Veldt recalls 410,000 hatchbacks over brakes", "VELDT RECALLS 410,000 HATCHBACKS OVER BRAKES (wire)"),
        ("海岳银行被下调评级至垃圾级", "快讯:海岳银行被下调评级至垃圾级"),
        ("Прибыль банка Северный снизилась на треть", "Прибыль банка «Северный» снизилась на треть"),
    ],
)
def test_a_text_that_is_passed_on_is_a_copy_in_any_script(one: str, other: str) -> None:
    assert grouped([one, other], {}) == ["0", "0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Insider buying at Nordvik: what the filings say", "Insider buying at Halden: what the filings say"),
        ("Profit at Nordvik rose 5% in the third quarter", "Profit at Nordvik rose 7% in the third quarter"),
        ("attack1 on a firm", "attack2 on a firm"),
        ("海岳银行被下调评级至垃圾级", "长川银行被下调评级至垃圾级"),
        ("Ostermark recalls formula", "Ostermark recalls formula in Spain after eleven babies were taken to hospital"),
        ("...", "!!!"),
    ],
)
def test_a_like_sentence_about_something_else_is_no_copy(one: str, other: str) -> None:
    assert grouped([one, other], {}) == ["0", "1"]


def test_copies_on_the_own_feed_are_right(headlines: list[dict[str, str]]) -> None:
    """Of the labelled headlines, which are all told in words of their own, one pair of 4,250 is a copy."""
    found, texts = Copies(), [normalised(row["title"]) for row in headlines]
    joined = []
    for number, text in enumerate(texts):
        own = sketch(text)
        story = found.story(text, own, START)
        joined += [(texts[int(story.id)], text)] if story else []
        found.add(text, own, START, story or Story(str(number), START))
    assert len(joined) <= 1


@given(st.text(min_size=1, max_size=60), st.text(max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_sketch_takes_any_text_and_what_is_equal_is_found(title: str, noise: str) -> None:
    text = normalised(title)
    if text:
        assert sketch(text).shape == (copies.SIZE,)
        assert is_copy(text, text)
        assert grouped([title, title.upper().lower()], {})[0] == "0"
        assert grouped([title, title + " " + noise, title], {})[2] == "0"


def test_sketches_have_in_common_what_their_texts_have() -> None:
    draw = random.Random(7)
    letters = [chr(draw.randrange(0x3B1, 0x3C9)) for _ in range(400)]
    shares = []
    for keep in (100, 200, 300):
        left, right = "".join(letters), "".join(letters[:keep]) + "".join(draw.choices("абвгдежзик", k=400 - keep))
        ours, theirs = ({text[at : at + 4] for at in range(397)} for text in (left, right))
        jaccard = len(ours & theirs) / len(ours | theirs)
        shares.append(float((sketch(left) == sketch(right)).mean()) - jaccard)
    assert max(map(abs, shares)) < 0.2
    assert abs(float(np.mean(shares))) < 0.1


def test_vectors_of_chinese_titles_say_nothing() -> None:
    titles = {"海岳银行被下调评级": towards(0), "长川制药获批新药": towards(1)}
    assert grouped(list(titles), titles) == ["0", "1"]


def test_a_story_told_often_takes_in_what_a_small_one_does_not() -> None:
    away = float(np.degrees(np.arccos(SAME_STORY - 0.03)))
    for tellings, story in ((2, "2"), (20, "0")):
        titles = {f"{'abcdefghijklmnopqrstuvwxyz'[n] * 9}": towards(0) for n in range(tellings)}
        titles["another side"] = towards(away)
        assert grouped(list(titles), titles)[-1] == story


def test_an_item_near_to_two_stories_makes_them_one() -> None:
    titles = {"first": towards(0), "second thing": towards(80), "both of them": towards(40)}
    assert grouped(list(titles)[:2], titles) == ["0", "1"]
    assert grouped(list(titles), titles) == ["0", "0", "0"]


def test_joined_stories_count_once_from_their_first_telling() -> None:
    key = Key("topic", "cyber")

    def told(minute: int, story: str) -> Mention:
        return Mention(START + timedelta(minutes=minute), story, f"{story}-{minute}", "t")

    for tellings, now, counted in (
        ([told(5, "a"), told(20, "b"), told(25, "c")], 30, ["a-5", "c-25"]),
        ([told(20, "b"), told(25, "c")], 30, ["b-20", "c-25"]),
        ([told(5, "a"), told(20, "b")], 70, []),
        ([told(5, "b"), told(20, "a"), told(30, "b")], 70, []),
    ):
        window = Window()
        for one in tellings:
            window.add_negative(key, one)
        window.close(START + timedelta(minutes=now))
        window.join("b", "a")
        assert [one.item_id for one in window.negative().get(key, [])] == counted
        left = [one for each in window._told.values() for one in each]
        assert sorted(left) == sorted(one.item_id for one in tellings)
        for one in tellings:
            window.withdraw(one.item_id)
        assert not window._of_item
        assert not window._told


def test_evidence_names_first_what_most_outlets_tell_and_counts_each_story_once() -> None:
    at = 5 * 1440 + 600
    surge = [item(at + 6 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(8)]
    again = [item(at + 6 * 3 + n, "attack3 on a firm", "negative", ("cyber",)) for n in range(1, 5)]
    again = [replace(one, item=replace(one.item, id=f"again{n}", source=f"outlet{n}")) for n, one in enumerate(again)]
    (plain,), (told,) = alerts(usual(7) + surge), alerts(usual(7) + surge + again)
    assert (told.observed, told.p_value) == (plain.observed, plain.p_value)
    evidence = told.as_dict()["evidence"]
    assert [one["outlets"] for one in evidence[:2]] == [5, 1]
    assert evidence[0]["title"] == "attack3 on a firm"


def test_a_story_that_is_not_retold_for_two_days_is_forgotten() -> None:
    stories = Stories()
    for hours, story in ((0, "0"), (47, "0"), (94, "0"), (94 + 49, str(94 + 49))):
        assert (
            stories.assign(str(hours), "Veldt recalls hatchbacks", towards(0), START + timedelta(hours=hours)).story
            == story
        )


def test_memory_is_bounded_by_time_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Recent(4, np.float32, most=100)
    for number in range(1000):
        time = START + timedelta(seconds=number)
        rows.forget(time)
        assert rows.add(np.full(4, number), time, Story(str(number), time)) == number
        assert rows.story(rows.first).id == str(int(rows.rows[0][0]))
    assert len(rows) == len(rows.rows) == 100
    assert rows._room.shape[0] <= 2 * recent.FIRST_ROWS
    assert len(rows.forget(START + timedelta(days=3))) == 100


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 600)), max_size=60), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_a_state_that_was_read_back_goes_on_to_the_same_stories(told: list[tuple[int, int]], at: int) -> None:
    whole, cut = Stories(), Stories()
    time = START
    for number, (what, minutes) in enumerate(told):
        if number == at:
            cut = pickle.loads(pickle.dumps(cut))
        time += timedelta(minutes=minutes)
        given_ = (str(number), f"news number {'abcdefghijklmnopqrstuvwxyzäöüß0'[what] * 12}", towards(6.0 * what), time)
        assert whole.assign(*given_) == cut.assign(*given_)


def test_a_state_is_read_by_the_journal() -> None:
    import io

    from apps.finance_monitor.journal import _Loader

    stories = Stories()
    stories.assign("1", "Veldt recalls hatchbacks", towards(0), START)
    back = _Loader(io.BytesIO(pickle.dumps(stories))).load()
    assert back.assign("2", "Veldt recalls hatchbacks!", towards(50), START).story == "1"


def test_seven_negative_among_good_news_of_one_company_over_a_calm_week_alarm() -> None:
    """The mean is about nought; the negative stories are what counts."""
    at = 5 * 1440 + 600
    kinds = ["negative"] * 7 + ["positive"] * 8 + ["neutral"] * 3
    random.Random(3).shuffle(kinds)
    burst = [item(at + 3 * n, f"blow{n} to Brackwater Savings", kind, ("credit",)) for n, kind in enumerate(kinds)]
    found = alerts(usual(7) + burst)
    assert [alert.key.value for alert in found] == ["Brackwater Savings"]
    assert found[0].observed >= 6
    assert json.dumps(found[0].as_dict())
