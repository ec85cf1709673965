"""Understanding without a model: a wish for a person, small talk, and what goes on from the turns before it."""

from __future__ import annotations

import time

import pytest

from apps.customer_service.question import Question, leans
from apps.customer_service.understand import HUMAN, understand
from tests.customer_service.conftest import turns

WISHES = """\
I want to talk to a human
I want to speak to a human
agent please
human
a human please
Representative!
no, a person please
operator
customer service
I'd like to speak with a colleague
i would rather chat with a real person
Can I talk to someone about my loan?
could i please speak to an agent
how do I talk to a person here?
is there a way to speak to a human being?
let me talk to someone who can help
please connect me to an agent
Can you transfer me to a representative now
hand me over to someone
put me through to your support team
give me a human
get me an agent please
I need an advisor now
I need a real person, this is urgent
I just want a human!
I said I want a human
you don't understand me, I want to speak to your manager
stop the bot, give me a human being
This is useless. Agent!
i need human help
is there a real person I can talk to?
are there any humans here
speak to supervisor
I don't want a bot, I want a person
I’d like to talk to customer support
may I have a word with one of your colleagues about my mortgage papers?
Could you let me speak to a colleague please?
would you please pass me on to an operator
can I get a human
I need someone... let me speak with somebody from your team
I demand to be connected to an agent
escalate this to a manager
我要人工客服
人工
转人工
人工客服，谢谢
你好，人工
请转接人工服务
帮我转接客服
我想找真人客服
找客服
我要找客服！
别给我机器人了，转人工
我不要机器人，我要人工
能不能给我找个人工客服？
有人工吗？
有没有真人客服在
我想跟真人说话
可以和人工聊吗
麻烦接一下人工
真人
我需要人工客服
叫你们客服来
我想和你们的工作人员沟通
请问怎么转人工
转真人
要人工！
Can I please just talk to a real human being?
get me a human
I'm done with this, let me speak with a manager
I want to be put through to an agent
i want to talk with someone
human!!!!
Real person please
I'd prefer to talk to an actual person
could someone connect me with an agent
talk to a human
speak to representative
chat with support
need a human
want to speak to a person
i need to talk to someone from your team about my blocked account
hi, can i speak to customer service?
transfer to agent
switch me to a live agent
I wish to speak with an operator in Spanish
Is it possible to talk to a person?
We need to talk to a human
can we speak to someone about our mortgage
Not a bot, a human!
I really need to speak to an adviser today
I would like a human to look at my case
Sorry but I want an agent
I want an agent, not a robot
please could you put me through to someone
forward me to your colleague
can you get me a person
i want human
no bots, human only
would like to speak to a person
I must speak with an agent
让我跟人工说
我要跟客服说话
麻烦转一下人工客服
人工人工人工
请叫真人来
我要求转人工
给我转人工服务
你们有人工客服吗？
能帮我接人工吗
换人工来
我要投诉，转人工
没用，我要真人客服
请给我找一位工作人员
想找个人工聊聊
能转接人工坐席吗
机器人听不懂，叫人工
""".splitlines()

ORDINARY = """\
I want to add a colleague to my business account
Does the app let me chat with people I sent money to?
Do I need an agent to open an account?
I do not want to talk to a human, just tell me the fee
I don't want to speak with an agent
I need my colleague's card unblocked, how?
Can I talk about fees with a person abroad using the app?
what do I need to become a mobile operator partner
Is my ID photo checked by a human or a machine?
Who reads my messages, an agent or a bot?
how do I hand my phone to someone else?
can I transfer money to a person without an account
I want to send money to an agent in Ghana
How do I connect my account to my colleague's?
Do I have to speak to someone to close my account?
why do I have to talk to a person for that?
Can my wife talk to you about my account?
what happens if I want to speak to an agent at night?
I need a person's IBAN to pay them
What does the estate agent need from me?
I want to put someone on my account as a joint holder
my manager needs a statement of my salary account
I need a representative account for my company
Can I give someone my card?
Can I have someone added to my account
can an agent see my PIN
I talked to a human yesterday and got no answer
your agent told me the fee is 3 euro, is that so?
Can I change the person who receives my statements?
how many people can share a pot?
I want to become an agent of yours
I would like my employees to have cards
can I pay my letting agent by standing order
Please don't connect me to an agent
no need to hand me over to a colleague, just the limit
I prefer not to speak with a person
I don't think I need an agent for this
Could someone else use my virtual card?
I need to transfer money to someone today
give someone access to my account
How do I get someone off my joint account
Can I chat with my friends in the app?
can you send the person I paid a receipt
I want to talk about the interest on my pot
Is there a person limit on shared pots?
which operator do you use for text messages
does the operator charge for the ATM
do I get a personal adviser with Plus?
is there an agent near Leeds where I can pay in cash
can a person under 18 have an account
I need a manager's approval limit on business cards
can we get employee cards and set limits
Will calling the number put me through to a human?
how long does an agent take to look at a dispute
please send the money back to the person
I have to pay an agent abroad, what does it cost?
human rights charity donation, is it tax free
I want to be able to see which employee paid
can the support team see my balance?
人工智能投资顾问安全吗？
人工费怎么收
我的申请是人工审核吗
人工审核要多久
需要人工审核吗
办理贷款需要人工服务吗
真人认证失败怎么办
为什么要真人人脸识别
不用转人工，告诉我手续费就行
我不要人工客服
我不想跟真人聊，只想知道费用
客服电话是多少
客服几点上班
怎么联系客服
在哪里找客服电话
上次客服说三天到账，对吗
你们的客服热线收费吗
转账给别人要手续费吗
可以和家人共用账户吗
能和别人一起存钱吗
人工成本算经营支出吗
人工客服的工作时间是几点到几点
如何给员工开卡
代理人可以帮我开户吗
我想把卡给别人用
你是真人还是机器人
这条消息是人工回复的吗
转账请人代办可以吗
how do I report an agent who scammed me?
can I use my card while I talk to someone on roaming?
I want someone to inherit my account
someone stole my card, what now
which person signs the joint application
Can I authorise another person to collect my card
My operator changed my phone number, how do I update it
I need to speak better English, do you have courses
can you talk me through the dispute process
will someone call me before the card is sent
can someone with a foreign passport open an account
do your agents work on Sundays
what hours can I talk to your staff?
does support ever ask for my password
I'd like to get a loan with my colleague
an agent asked me for my code over the phone, is it a scam
a person claiming to be from support called me
I like the human touch of your bank
I love your customer support!
I like your agents
I have an agent, does she get a card?
I like to chat with people
I have a manager who wants his salary account here
I have an agent in Spain that collects rent
put my wife on the account
give my accountant access to statements
send me the name of the person who took it
pass the fee to the recipient
would a human decide on my loan application?
I got a letter from your agent, is it real
I want the refund to go to another person
please tell me whether people can see my balance
is a person allowed two accounts
if I need a human, what hours do you work?
人工服务收费吗
为什么人工审批这么慢
你们的工作人员几点下班
我给别人转账转错了
找回密码怎么操作
请问客服中心在哪里
我想和太太开联名账户
我和朋友一起用这张卡可以吗
有人盗刷我的卡怎么办
有人给我转账但没到账
找不到收款人怎么办
不需要人工，我自己能办
真人视频认证要带什么
我想联系收款人
客服让我提供验证码是诈骗吗
请问转账需要工作人员确认吗
我需要换手机号
人工处理退款要几天
能和国外的人视频开户吗
""".splitlines()


@pytest.mark.parametrize("text", WISHES)
def test_a_wish_for_a_person_is_heard(text: str) -> None:
    assert understand(text, None).intent == HUMAN


@pytest.mark.parametrize("text", ORDINARY)
def test_a_question_in_which_a_person_occurs_is_a_question(text: str) -> None:
    assert understand(text, None).intent is None


def test_the_longest_texts_are_read_in_little_time() -> None:
    parts = ["please ", "hi, ", "real ", "I want to ", "，", "connect me ", "ok ", "thanks ", "好", "谢谢", "你好"]
    begun = time.perf_counter()
    for text in [
        *(part * (2_000 // len(part)) for part in parts),
        "不" + "需要" * 900,
        "找" + "你们的" * 600,
        "嗯" * 59,
    ]:
        assert understand(text + "x", None).intent is None
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Hi, support team!", "greeting"),
        ("hello hello", "greeting"),
        ("你好，在吗？", "greeting"),
        ("ok thanks", "thanks"),
        ("Got it, thank you so much for your help!", "thanks"),
        ("ok, great", "thanks"),
        ("明白了，谢谢您", "thanks"),
        ("好的", "thanks"),
        ("嗯嗯，明白了", "thanks"),
        ("ok bye for now", "goodbye"),
        ("that's all, thanks", "goodbye"),
        ("谢谢，再见", "goodbye"),
        ("how are you?", "chit_chat"),
        ("你是机器人吗", "chit_chat"),
    ],
)
def test_small_talk_is_told_by_its_words_alone(text: str, intent: str) -> None:
    assert understand(text, None).intent == intent


@pytest.mark.parametrize(
    "text",
    ["thanks, but how much?", "ok and abroad", "hello I lost my card", "那手续费呢", "好的，那要多久", "why", "no"],
)
def test_a_question_that_begins_politely_is_a_question(text: str) -> None:
    assert understand(text, None).intent is None


@pytest.mark.parametrize(
    "text",
    [
        "还有没有别的转账限额",
        "还有其他需要提交的材料",
        "如果我人在国外怎么办理",
        "如果对方银行拒绝收款怎么处理",
        "要是卡片丢失应该怎么办",
        "要是超过每月额度会怎样收费",
        "那么手续费由谁来承担呢",
        "它支持哪些国家的货币兑换",
        "这个额度每个月什么时候更新",
        "and what do you charge for a transfer abroad on Sundays",
        "but what happens with payments in foreign currency",
    ],
)
def test_a_turn_that_opens_as_a_continuation_leans(text: str) -> None:
    assert leans(text)


@pytest.mark.parametrize(
    "text",
    [
        "银行卡丢失以后如何挂失",
        "国际转账手续费是多少钱",
        "怎样修改账户绑定的手机号码",
        "信用卡账单日可以更改吗",
        "申请贷款需要提供什么材料",
        "How do I order a new card from abroad in summer?",
        "android phones supported by your app and watch",
        "Sorry, which documents prove my home address?",
    ],
)
def test_a_question_that_stands_alone_does_not_lean(text: str) -> None:
    assert not leans(text)


@pytest.mark.parametrize(
    ("text", "continues"),
    [("why", True), ("abroad?", True), ("and on Plus", True), ("e305", True), ("in which currencies", True),
     ("lol", False), ("you are great", False), ("how do I order a new card from abroad in summer", False)],
)  # fmt: skip
def test_being_short_alone_is_no_continuation(text: str, continues: bool) -> None:
    history = turns("customer: how do I freeze my card?", "bot: Tap the snowflake.")
    assert Question.of(text, history).continues() is continues
    assert not Question.of(text).continues()
