// The page: asks the API for all it shows. What it ranks is a trial: nothing of it is written down.

import { reason, speak, tongue, words } from "./words.js";

const SOON = 150; // milliseconds in which several moves of a slider are one request
const PARTS = 6; // of an item's score that are shown one by one
const at = (id) => document.getElementById(id);
const now = { model: null, user: null, clicks: [], items: [], seed: 13, asked: 0 };

async function call(path, body) {
  const key = sessionStorage.getItem("key");
  const headers = { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, body ? { method: "POST", body: JSON.stringify(body), headers } : { headers });
  if (answer.status === 401) {
    if (!at("ask").open) at("ask").showModal();
    await new Promise(() => {}); // the page is loaded anew with the key
  }
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) name in made ? (made[name] = value) : made.setAttribute(name, value);
  made.append(...children.filter((one) => one !== null));
  return made;
}

const here = (path) => `models/${encodeURIComponent(now.model.model)}/${path}`;
const facts = (one) => [one.category, one.seller, one.price === undefined ? null : String(one.price)].filter(Boolean).join(" · ");
const day = (time) => new Date(time).toLocaleDateString(tongue === "zh" ? "zh-CN" : "en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

function sliders() {
  const most = Math.max(1, ...Object.values(now.model.values));
  const row = (id, text, value, max, step) => {
    const shown = element("output", {}, String(value));
    const input = element("input", { type: "range", min: 0, max, step, value, id });
    input.addEventListener("input", () => { shown.textContent = input.value; later(); });
    return element("label", { className: "slider" }, element("span", {}, text), input, shown);
  };
  at("sliders").replaceChildren(
    row("diversity", words().diversity, now.model.listing.diversity, 1, 0.05),
    ...Object.entries(now.model.values).map(([name, value]) => row(`value-${name}`, words().value(name), value, 2 * most, most / 20)),
  );
}

let waiting = null;
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(() => tried(list), SOON);
}

async function tried(work) {
  try {
    await work();
  } catch (fault) {
    at("told").textContent = fault.message;
  }
}

async function history() {
  const done = now.user ? await call(here(`history?count=12&user=${encodeURIComponent(now.user)}`)) : now.clicks.map(known).reverse();
  const rows = done.map((one) => element("li", {},
    element("span", { className: "title" }, one.title || one.item),
    element("span", { className: "soft" }, [facts(one), one.event, one.time ? day(one.time) : null].filter(Boolean).join(" · "))));
  at("history").replaceChildren(...(rows.length ? rows : [element("li", { className: "empty" }, now.user ? words().unknown : words().none)]));
}

const known = (id) => now.items.find((one) => one.item === id) || { item: id };

async function candidates() {
  now.items = await call(here(`items?count=${at("count").value}&seed=${now.seed}`));
}

async function list() {
  const asked = ++now.asked;
  const values = Object.fromEntries(Object.keys(now.model.values).map((name) => [name, Number(at(`value-${name}`).value)]));
  const body = { items: now.items.map((one) => ({ id: one.item })), k: Number(at("k").value), diversity: Number(at("diversity").value), values };
  if (now.user) body.user = now.user;
  else body.history = now.clicks.map((item) => ({ item }));
  const found = await call(`rank/${encodeURIComponent(now.model.model)}?explain=true&trial=true`, body);
  if (asked !== now.asked) return; // a later slider has asked again
  at("told").textContent = words().took(now.items.length, found.took);
  const best = Math.max(...found.items.map((one) => one.score), 1e-9);
  at("list").replaceChildren(...(found.items.length
    ? found.items.map((one) => row(one, best)) : [element("li", { className: "empty" }, words().empty)]));
}

function row(one, best) {
  const item = known(one.item);
  const bar = element("progress", { max: 1, value: Math.max(0, one.score / best), "aria-label": words().score });
  const take = element("button", { type: "button", className: "take" }, words().take);
  take.addEventListener("click", () => { now.clicks.push(one.item); tried(all); });
  const likely = Object.entries(one.probabilities).map(([name, value]) => words().probability(name, `${(100 * value).toFixed(1)}%`)).join(" · ");
  return element("li", { className: "item" },
    element("div", { className: "head" },
      element("div", {}, element("span", { className: "title" }, item.title || one.item), element("span", { className: "soft" }, facts(item))),
      now.user ? null : take),
    bar,
    element("ul", { className: "reasons" }, ...one.reasons.map((text) => element("li", {}, reason(text)))),
    element("details", {}, element("summary", {}, words().why), element("p", { className: "soft" }, likely), ...proof(one), ...sums(one)));
}

function proof(one) {
  const strong = one.evidence.slice(0, 3).filter((piece) => piece.title);
  if (!strong.length) return [];
  return [element("h4", {}, words().evidence),
    table(strong.map((piece) => [piece.title, piece.share]))];
}

function sums(one) {
  return Object.entries(one.contributions).flatMap(([behaviour, parts]) => {
    const { base, ...features } = parts;
    const sorted = Object.entries(features).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const rest = sorted.slice(PARTS).reduce((sum, [, value]) => sum + value, 0);
    const moves = one.moves.map((move) => [`${move.cause}, ${words().moved(move.before, move.after)}`, move.margins[behaviour]]);
    return [element("h4", {}, words().parts(behaviour)),
      table([...sorted.slice(0, PARTS).map(([name, value]) => [named(name), value]), [words().rest, rest], [words().base, base], ...moves,
        [words().margin, one.margins[behaviour]]], true)];
  });
}

function named(feature) {
  const [part, name] = feature.split(".");
  return name ? `${words().part[part] || part}: ${name.replaceAll("_", " ")}` : words().part[part] || part;
}

function table(rows, summed = false) {
  return element("table", { className: summed ? "summed" : "" }, ...rows.map(([text, value]) => element("tr", {},
    element("th", { scope: "row" }, text), element("td", {}, `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`))));
}

async function all() {
  await Promise.all([history(), list()]);
}

async function chosen(user) {
  now.user = user;
  now.clicks = [];
  document.querySelector("#who input").value = user || "";
  at("visitor").setAttribute("aria-pressed", String(!user));
  await all();
}

async function begin() {
  const models = await call("models");
  if (!models.length) throw new Error(words().nothing);
  at("model").replaceChildren(...models.map((one) => element("option", { value: one.model }, one.model)));
  const change = async () => {
    now.model = models.find((one) => one.model === at("model").value);
    sliders();
    await candidates();
    const users = await call(here("users?count=200"));
    at("users").replaceChildren(...users.map((user) => element("option", { value: user })));
    await chosen(users[0] || null);
  };
  at("model").addEventListener("change", () => tried(change));
  await change();
}

function dress(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  at("theme").textContent = theme === "dark" ? words().light : words().dark;
}

function talk(other) {
  const wishes = Object.fromEntries([...document.querySelectorAll("#sliders input")].map((one) => [one.id, one.value]));
  speak(other);
  at("tongue").textContent = tongue === "zh" ? "English" : "中文";
  at("tongue").lang = tongue === "zh" ? "en" : "zh";
  dress(document.documentElement.dataset.theme);
  if (!now.model) return;
  sliders();
  for (const [id, value] of Object.entries(wishes)) {
    at(id).value = value;
    at(id).nextElementSibling.textContent = value;
  }
  tried(all);
}

document.documentElement.dataset.theme = localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
talk();
at("theme").addEventListener("click", () => dress(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
at("tongue").addEventListener("click", () => talk(tongue === "zh" ? "en" : "zh"));
at("visitor").addEventListener("click", () => tried(() => chosen(null)));
at("who").addEventListener("submit", (event) => event.preventDefault());
document.querySelector("#who input").addEventListener("change", (event) => tried(() => chosen(event.target.value.trim() || null)));
at("k").addEventListener("change", () => tried(list));
at("count").addEventListener("change", () => tried(async () => { await candidates(); await list(); }));
at("again").addEventListener("click", () => tried(async () => { now.seed += 1; await candidates(); await list(); }));
at("ask").addEventListener("close", () => { sessionStorage.setItem("key", document.querySelector("#ask input").value); location.reload(); });
tried(begin);
