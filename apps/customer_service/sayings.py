"""Sayings: small talk that is told by its words alone, whatever went before it."""

from __future__ import annotations

import re

from engine.text.normalise import CJK, words

LONGEST = 60
"""Letters of a saying; what is longer says something."""
_GOOD = (
    r"(?:oh|ok|okay|great|good|perfect|cool|super|nice|fine|excellent|brilliant|lovely|wonderful|awesome|alright"
    r"|all right|got it|i see|understood|that (?:helps|helped|worked)|all (?:clear|good))"
)
_THANKS = r"(?:(?:many )?thanks|thank (?:you|u)|thx|ty|tysm|cheers|much appreciated|i appreciate it)"
_BYE = (
    r"(?:bye|bye bye|goodbye|good bye|see you|see ya|good night|take care|that'?s all|that s all"
    r"|have a (?:nice|good|great) (?:day|evening|weekend))"
)
_HELLO = r"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening))"
_MORE = (
    r"(?:so much|very much|a lot|a million|again|anyway|then|now|later|soon|tomorrow|mate|all|everyone|there|team"
    r"|support|bot|for (?:now|that|this|explaining|helping|(?:all )?(?:your|the) (?:quick |kind |great )?"
    r"(?:help|answer|reply|info|information|support|time|advice)))"
)
_GOOD_ZH = r"(?:那?(?:好的?|嗯|行|哦|明白了?|知道了|懂了|收到|没事了?|没有?问题了|就这样))"
_THANKS_ZH = r"(?:谢谢|多谢|非常感谢|太感谢|感谢|谢了|谢啦)"
_MORE_ZH = r"(?:你们?|您|大家|客服|的?(?:帮助|帮忙|解答|回复)|啦|了|啊|哈|呀)"
_SAYINGS = {
    "thanks": re.compile(
        rf"(?:(?:{_GOOD}|{_HELLO}|yes|no) )*{_THANKS}(?: (?:{_MORE}|{_THANKS}|{_BYE}))*|{_GOOD}(?: {_GOOD})*"
        rf"|那?{_GOOD_ZH}*(?:{_THANKS_ZH}{_MORE_ZH}*)+|{_GOOD_ZH}+"
    ),
    "goodbye": re.compile(
        rf"(?:(?:{_GOOD}|no) )*{_BYE}(?: (?:{_MORE}|{_THANKS}|{_BYE}))*"
        rf"|(?:{_GOOD_ZH}|{_THANKS_ZH}{_MORE_ZH}*)*(?:再见|拜拜|晚安|回头见){_MORE_ZH}*"
    ),
    "greeting": re.compile(
        rf"{_HELLO}(?: (?:{_HELLO}|{_MORE}))*|(?:你好|您好|哈喽|早上好|下午好|晚上好|在吗|在不在|客服|啊|呀)+"
    ),
    "chit_chat": re.compile(
        r"how are you(?: today| doing)*|(?:who|what) are you|are you (?:an? )?(?:bot|robot|machine|ai|human|real)"
        r"|你是(?:谁|机器人|真人)吗?"
    ),
}
_POLITE = re.compile(rf"\b(?:{_THANKS}|{_BYE})\b|谢|再见|拜拜")
_BETWEEN = re.compile(rf"(?<={CJK.pattern}) (?={CJK.pattern})")


def saying(text: str) -> str | None:
    """The intent of a text that is nothing but a greeting, thanks, goodbye or a usual word to a bot; else None."""
    if len(text) > LONGEST:
        return None
    said = _BETWEEN.sub("", " ".join(words(text)))
    return next((intent for intent, pattern in _SAYINGS.items() if pattern.fullmatch(said)), None)


def polite(text: str) -> bool:
    """Whether words of thanks or goodbye stand in it."""
    return bool(_POLITE.search(text.casefold()))
