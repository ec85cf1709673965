// Words: all that the page says, in English and Chinese; titles of items stay as the catalogue has them.

const said = {
  en: {
    toList: "To the list", model: "Model", who: "Whose list", user: "A user's id", visitor: "A new visitor",
    history: "History, the newest first", wishes: "What the list should be", candidates: "Candidates", first: "Shown",
    again: "Other candidates", list: "The list", keyTitle: "A key, please", key: "Key", open: "Open",
    keyText: "This server answers callers with a key:", dark: "Dark", light: "Light", diversity: "Diversity",
    value: (name) => `Value of: ${name}`, none: "Nothing yet. Click items in the list and see what changes.",
    unknown: "Nothing is known of this user.", empty: "No candidates.", take: "I click this", why: "Why", score: "score",
    took: (number, ms) => `${number} ranked in ${ms} ms`, moved: (before, after) => `from ${before} to ${after}`,
    evidence: "What was taken before, and what it says for this", parts: (name) => `What adds up, ${name}`, base: "what no feature says",
    rest: "other features", margin: "together", probability: (name, share) => `${name} ${share}`, nothing: "No model is served here.",
    part: { popularity: "popularity", catalogue: "its fields", behaviour: "what others did", text: "its text", sequence: "the order of things", "cross-encoder": "read closely" },
  },
  zh: {
    toList: "跳到列表", model: "模型", who: "为谁推荐", user: "用户编号", visitor: "新访客",
    history: "历史记录（从新到旧）", wishes: "列表偏好", candidates: "候选数", first: "显示",
    again: "换一批候选", list: "推荐列表", keyTitle: "请输入密钥", key: "密钥", open: "打开",
    keyText: "访问此服务需要密钥：", dark: "深色", light: "浅色", diversity: "多样性",
    value: (name) => `行为价值：${name}`, none: "还没有记录。点选列表中的物品，看看会有什么变化。",
    unknown: "没有这位用户的记录。", empty: "没有候选物品。", take: "点选", why: "理由", score: "得分",
    took: (number, ms) => `${ms} 毫秒内排好 ${number} 件`, moved: (before, after) => `从第 ${before} 位到第 ${after} 位`,
    evidence: "以往选择对它的支持", parts: (name) => `得分组成：${name}`, base: "基准",
    rest: "其他特征", margin: "合计", probability: (name, share) => `${name} ${share}`, nothing: "这里还没有可用的模型。",
    part: { popularity: "热度", catalogue: "物品属性", behaviour: "他人行为", text: "文本", sequence: "先后次序", "cross-encoder": "精读" },
  },
};

// The server tells reasons in English; of those that it may tell, how Chinese says them.
const reasons = [
  [/^because of (.+) in your history$/, "因为您看过：$1"],
  [/^goes with what you took, by what others took together$/, "与您选过的常被一同选择"],
  [/^often next after what you took last$/, "常在您上次所选之后被选"],
  [/^reads as what comes next for you$/, "细读之后，像是您接下来想要的"],
  [/^of a (category|kind) that you often take$/, "属于您常选的类别"],
  [/^from a seller that you often take$/, "来自您常选的卖家"],
  [/^near the price that you usually pay$/, "价格接近您的习惯"],
  [/^popular lately$/, "近来很受欢迎"],
  [/^popular with users like you$/, "同类用户喜欢"],
  [/^popular$/, "很受欢迎"],
  [/^new$/, "新品"],
  [/^nothing speaks for it more than for others$/, "没有特别的理由"],
  [/^moved (up|down) by (.+), from (\d+) to (\d+)$/, "因 $2 从第 $3 位移到第 $4 位"],
  [/^weighed by (.+)$/, "受 $1 影响"],
];

export function reason(text) {
  const found = tongue === "zh" && reasons.find(([pattern]) => pattern.test(text));
  return found ? text.replace(...found) : text;
}

export let tongue = localStorage.getItem("tongue") || (navigator.language.startsWith("zh") ? "zh" : "en");
export const words = () => said[tongue];

export function speak(other = tongue) {
  tongue = other;
  localStorage.setItem("tongue", tongue);
  document.documentElement.lang = tongue === "zh" ? "zh-CN" : "en";
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = words()[one.dataset.say];
  for (const one of document.querySelectorAll("[data-hint]")) one.placeholder = words()[one.dataset.hint];
}
