"""Wish: whether a customer asks for a person now, told from a question in which a person occurs.

"I want to talk to an agent" is a wish; "do I need an agent to open an account?" is a question. So a pattern begins as
wishes begin ("I want", "can I", "connect me") and ends with the person or with what may follow one in a wish; "I do not
want" does not begin so.
"""

from __future__ import annotations

import re

_PERSON = (
    r"(?:human(?: being)?s?|persons?|agents?|representatives?|reps?|operators?|advis[oe]rs?|colleagues?|employees?"
    r"|supervisors?|managers?)"
)
_ANYONE = (
    rf"(?:{_PERSON}|(?:some|any)(?:one|body)|(?:real|live) people|staff|(?:support |service )?team"
    r"|customer (?:service|support|care)|support)"
)
_WHICH = (
    r"(?:an? |any |some |the |your |one of your )?(?:(?:real|live|actual|living|human|other|different|support|service"
    r"|customer service) ){0,4}"
)
_ADVERBS = r"(?:(?:please|pls|just|now|really|rather|still|only|finally|kindly) ){0,4}"
_CLAUSE = (
    r"(?:^|[,.;:!?–-] ?|\b(?:please|pls|but|so|then|(?:can|could|would|will) (?:you|someone|somebody)|"
    r"(?:want|need|like) you to) )"
)
_NOT_ASKED = "".join(
    rf"(?<!\b{word} )" for word in "do did would should will if when unless why where think say says that".split()
)
"""No wish where one of these stands before "I want"."""
_WANT = (
    rf"(?:{_NOT_ASKED}\b(?:i|we)|{_CLAUSE})(?: ?{_ADVERBS}(?:want|need|wish|prefer|demand|insist on|wanna|have to|must)"
    rf"|(?: ?would|'d) {_ADVERBS}(?:like|love|prefer|rather))(?: to)? "
)
_MAY = (
    r"(?<!hours )(?<!time )(?<!when )(?<!days )"
    r"\b(?:(?:can|could|may|might) (?:i|we)|(?:how|where) (?:do|can|could) (?:i|we)|(?:a|any) way to|possible to) "
)
_TALK = (
    r"(?:talk|speak|chat|have a (?:word|chat)|be (?:connected|transferred|handed over|passed on|put through))"
    r" (?:to|with) "
)
_MOVE = (
    rf"(?:let me {_TALK}|(?:get|give|find|fetch) (?:me |us )?|(?:connect|transfer|put|hand|pass|forward|refer|redirect"
    r"|switch|route|escalate)(?: (?:me|us|this|it))?(?: (?:over|through|on|back))? (?:to|with) )"
)
_END = (
    r"(?=\W*$| ?[,.;:!?(–]| (?:please|pls|now|right now|immediately|asap|at once|today|instead|again|here|thanks|and"
    r"|but|because|not|about|regarding|by phone|(?:on|over) the phone"
    r"|(?:from|at|in|of) (?:your|the (?:team|bank|company))"
    r"|in \w+\W*$|(?:who|that) (?:can|could|knows?|understands?|speaks?)|to (?:talk|speak|chat|write|help|look))\b)"
)
_OPENING = r"(?:(?:hi|hello|hey|ok|okay|no|nope|yes|well|sorry|please|pls|just|to)\b[,.!]? ?){0,6}"

_ENGLISH = re.compile(
    rf"^{_OPENING}{_WHICH}(?:{_PERSON}|customer (?:service|support))(?: (?:please|pls|now|asap|only|thanks))*\W*$"
    rf"|[,.!;] {_WHICH}{_PERSON}(?: (?:please|pls|now|asap|only))*[.! ]*$"
    rf"|(?:{_WANT}|{_MAY}|{_CLAUSE}){_ADVERBS}{_TALK}{_WHICH}{_ANYONE}{_END}"
    rf"|{_CLAUSE}{_ADVERBS}{_MOVE}{_WHICH}{_ANYONE}{_END}"
    rf"|(?:{_WANT}|\b(?:can|could|may) (?:i|we) (?:please )?(?:have|get) ){_WHICH}{_PERSON}{_END}"
    rf"|{_WANT}(?:some )?human (?:help|support|assistance)\b"
    rf"|\b(?:is|are) there {_WHICH}{_PERSON} "
    r"(?:here|there|available|(?:(?:that|who|whom) )?i can|to (?:talk|speak|chat))\b",
    re.IGNORECASE,
)

_STAFF = r"(?:(?:人工|真人|活人)(?:客服|服务|坐席|座席|专员|同事)?|客服(?:人员|专员|代表)?|工作人员)"
_ONE = r"[一下个位名你们的这里边]{0,8}"
_AFTER = (
    r"(?=\W|$|谢谢|吧|啊|呢|呀|了|好吗|可以吗|行吗|行不行|帮|来|给我|跟我|和我|回复|解答|接"
    r"|说|聊|谈|讲|沟通|对话|通话|交流)"
)
_CHINESE = re.compile(
    rf"(?:^|(?<=[，,。.！!？?；;\s]))(?:你好|您好|请|麻烦|快|就|还是|给我|帮我|我要)*[，,\s]{{0,2}}(?:{_STAFF})+"
    r"(?:[，,\s]{0,2}谢谢|吧|啊|呢|呀|在吗|有吗)*[，,。.！!？?~\s]*$"
    rf"|(?:转接?|接通?|换|呼叫|接入|切换)(?:到|给|至|成)?{_ONE}{_STAFF}(?!智能|电话|热线|费|审|中心)"
    rf"|(?:找|叫|请|要|想|给我|帮我|需要){_ONE}{_STAFF}(?!吗){_AFTER}"
    rf"|有(?:没有)?{_ONE}{_STAFF}(?:在线|在|可以)?(?:吗|么|嘛)?[？?。！!\s]*$"
    rf"|(?:跟|和|与|同){_ONE}(?:{_STAFF}|真?人)(?:员)?(?:直接)?(?:说|聊|谈|讲|沟通|对话|通话|交流)"
)
_REFUSED = re.compile(r"(?:不|别|勿|没|无需|甭)(?:是|要|用|想|必|需|愿|意)*(?:再|给|帮|我)*$")
"""Chinese says no right before the wish."""


def wishes_human(text: str) -> bool:
    """Whether the words alone ask for a person, in English or Chinese."""
    plain = " ".join(text.replace("’", "'").split())
    if _ENGLISH.search(plain):
        return True
    return any(not _REFUSED.search(plain[: found.start()]) for found in _CHINESE.finditer(plain))
