"""What the bot says of its own, in English and Chinese."""

from __future__ import annotations

from engine.errors import InputError

PHRASES = {
    "en": {
        "abstain": "I don't know: I found nothing in our articles that answers this. Would you like to speak with a "
        'colleague? Write "human" and I will hand over.',
        "abstain_near": "I don't have a sure answer to that. These articles come closest; if they don't help, write "
        '"human" and I will hand you over to a colleague.',
        "greeting": "Hello! Ask me anything about our products and services.",
        "thanks": "You're welcome. Is there anything else?",
        "goodbye": "Goodbye, and have a good day.",
        "abuse": "I would like to help, and I can do so best when we stay polite. What is your question? If you prefer "
        'a person, write "human".',
        "chit_chat": "I'm the support assistant, so I keep to questions about our services. What can I help you with?",
        "handed_over": "I am handing you over to a colleague. Everything we wrote is passed on, so you need not repeat "
        "it. What you write now will be read by a person.",
        "still_waiting": "You are in the queue for a colleague already; someone will answer here.",
        "agent_is_here": "A colleague is with you already and will answer here.",
        "agent_joined": "A colleague has joined and will answer from here on.",
        "given_back": "My colleague has handed you back to me. What else can I do?",
        "withdrawn": "I am here again, and nobody else needs to answer you. What can I do?",
        "closed": "This conversation is closed. Write to us again at any time.",
        "empty": "I could not read a question in that. What would you like to know?",
    },
    "zh": {
        "abstain": "我不知道：我们的文章里没有能回答这个问题的内容。需要人工客服吗？请输入“人工”，我会为您转接。",
        "abstain_near": "这个问题我没有确切的答案。下面是最相关的文章；如果没有帮助，请输入“人工”，我会为您转接同事。",
        "greeting": "您好！关于我们的产品和服务，请随时提问。",
        "thanks": "不客气。还有其他问题吗？",
        "goodbye": "再见，祝您愉快。",
        "abuse": "我很愿意帮助您，也请保持礼貌。您的问题是什么？如需人工客服，请输入“人工”。",
        "chit_chat": "我是客服助手，只能回答与我们服务有关的问题。请问有什么可以帮您？",
        "handed_over": "正在为您转接同事。之前的对话会一并转交，您不必重复。从现在起，您的消息将由人工阅读。",
        "still_waiting": "您已在人工客服队列中，稍后会有人在这里回复您。",
        "agent_is_here": "已有同事在为您服务，会在这里回复您。",
        "agent_joined": "同事已加入，接下来由人工为您解答。",
        "given_back": "同事已将对话交还给我。还有什么可以帮您？",
        "withdrawn": "已取消转接人工，由我继续为您服务。请问有什么可以帮您？",
        "closed": "本次对话已结束。欢迎随时再联系我们。",
        "empty": "我没有读懂您的问题。请问您想了解什么？",
    },
}

ALONE = {
    "en": {
        "abstain": "I don't know: I found nothing in our articles that answers this.",
        "abstain_near": "I don't have a sure answer to that. These articles come closest.",
        "abuse": "I would like to help, and I can do so best when we stay polite. What is your question?",
        "handed_over": "You would like to talk to a person. I cannot hand you over from here; please get in touch with "
        "our team directly.",
    },
    "zh": {
        "abstain": "我不知道：我们的文章里没有能回答这个问题的内容。",
        "abstain_near": "这个问题我没有确切的答案。下面是最相关的文章。",
        "abuse": "我很愿意帮助您，也请保持礼貌。您的问题是什么？",
        "handed_over": "您希望与人工客服交谈。我无法从这里为您转接，请直接联系我们的团队。",
    },
}
"""What is said instead where nobody can be handed over to."""


def phrase(key: str, lang: str, *, alone: bool = False) -> str:
    """The phrase in the language, in English where there is none in it; `alone`: one that promises no person."""
    lang = lang if lang in PHRASES else "en"
    try:
        return (PHRASES[lang] | ALONE[lang] if alone else PHRASES[lang])[key]
    except KeyError:
        raise InputError(f"no phrase {key!r}; there are: {', '.join(PHRASES['en'])}") from None
