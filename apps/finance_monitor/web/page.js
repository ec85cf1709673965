// The page: asks the API for all it shows, and hears by Server-Sent Events when to ask again.

import { amount, chart, clock, element, words } from "./charts.js";
import { why } from "./why.js";

const HEADLINES = 4; // of evidence shown at once
const KEYS = 60;
const SEVERITIES = ["critical", "warning", "info"];
const SOON = 300; // milliseconds in which several events are answered by one look
const RETRY = 3000;
const at = (id) => document.getElementById(id);
const named = (key) => (key.type === "all" ? "All news" : key.type === "topic" ? key.value.replaceAll("_", " ") : key.value);
const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const judged = new Set(); // alerts that were judged on this page
const cards = new Map(); // alert -> its card, and what that tells: one that tells the same stays as it is
const spoken = (key) => (key.type === "*" ? "*" : `${key.type}:${key.value}`);

const shown = { alerts: [], silences: [], keys: [], series: null };
let fresh = new Set(); // alerts that just changed
let last = null; // id of the last event
let open = null; // key whose chart is shown large

async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...auth(), ...options.headers } });
  if (answer.status === 401) await askForKey();
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).detail), { again: Number(answer.headers.get("Retry-After")) });
  return answer;
}

const got = async (path) => (await call(path)).json();
const send = (path, method, body) =>
  call(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

function auth() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function askForKey() {
  const dialog = at("ask");
  if (!dialog.open) dialog.showModal();
  return new Promise(() => {}); // the page is loaded anew with the key
}

// ---- alerts

function alert(one) {
  const silence = shown.silences.find((other) => other.id === one.silence);
  const tells = JSON.stringify([one, silence, judged.has(one.id)]);
  const kept = cards.get(one.id);
  if (kept?.tells === tells) {
    kept.card.classList.remove("fresh");
    return kept.card;
  }
  const firing = one.status === "firing";
  const card = element("article", {
    className: `alert ${firing ? (one.silence ? "silenced" : one.severity) : "resolved"}${fresh.has(one.id) ? " fresh" : ""}`,
  });
  const what = one.kind === "volume" ? "stories" : "negative stories";
  card.append(
    element("h3", {},
      element("span", { className: "tag" }, firing ? one.severity : "ended"),
      named(one.key),
      element("span", { className: "kind" }, one.key.type === "all" ? one.kind : `${one.key.type}, ${one.kind}`)),
    element("p", {}, `${one.observed} ${what} in ${one.window_minutes} minutes, ${amount(one.expected)} expected: ${amount(one.ratio)} times as many`),
    element("p", { className: "soft" },
      `${clock(one.opened)}${one.closed ? ` to ${clock(one.closed)}` : " until now"} UTC; p = ${one.p_value.toExponential(1)}`),
  );
  if (one.related.length) card.append(element("p", { className: "soft" }, `also: ${one.related.map(named).join(", ")}`));
  const items = one.evidence.map((item) => element("li", {}, headline(item), item.source && item.source !== "unknown" ? element("span", { className: "soft" }, ` ${item.source}`) : null, " ", correctButton(item)));
  const list = element("ol", {}, ...items.slice(0, HEADLINES));
  const more = items.length > HEADLINES
    ? element("details", {}, element("summary", {}, counted(items.length - HEADLINES, "more headline")),
        element("ol", { start: HEADLINES + 1 }, ...items.slice(HEADLINES))) : null;
  if (firing) {
    card.append(list);
    if (more) card.append(more);
    card.append(silence ? silencedRow(silence) : silenceRow(one));
  } else {
    card.append(element("details", {}, element("summary", {}, counted(items.length, "headline")), element("ol", {}, ...items)));
    if (one.silence) card.append(element("p", { className: "soft" }, "silenced"));
  }
  const name = named(one.key);
  const ask = element("button", { type: "button", className: "why", "aria-label": `Why: ${name}`, "aria-haspopup": "dialog", "data-alert": one.id, onclick: () => why(at("why"), one, name, got) }, "Why?");
  card.append(judgeRow(one, ask));
  cards.set(one.id, { tells, card });
  return card;
}

function headline(item) {
  let url = null;
  try {
    url = new URL(item.url);
  } catch {}
  if (!url || !["http:", "https:"].includes(url.protocol)) return item.title;
  return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, item.title);
}

function judgeRow(one, ask) {
  if (judged.has(one.id)) return element("div", { className: "row judge" }, ask, element("span", { className: "soft" }, "Thank you, noted."));
  const button = (verdict, text) => {
    const press = async () => {
      await send(`v1/alerts/${one.id}/verdict`, "POST", { verdict });
      judged.add(one.id);
      say(`${named(one.key)}: noted`);
      drawAlerts();
      focusWhy(one.id);
    };
    return element("button", { type: "button", "aria-label": `${text}: ${named(one.key)}`, onclick: press }, text);
  };
  return element("div", { className: "row judge" }, ask, button("right", "Right"), button("false_alarm", "False alarm"));
}

function correctButton(item) {
  const choice = element("select", { className: "correct", "aria-label": `Sentiment of: ${item.title}` },
    ...["not negative?", "neutral", "positive"].map((text, place) => element("option", { value: place ? text : "" }, text)));
  choice.addEventListener("change", async () => {
    if (!choice.value) return;
    await send(`v1/items/${encodeURIComponent(item.id)}/correction`, "POST", { sentiment: choice.value });
    choice.replaceWith(element("span", { className: "soft" }, "noted"));
    say("noted");
  });
  return choice;
}

function silenceRow(one) {
  const hours = element("select", { "aria-label": "For how long" },
    ...[[1, "1 hour"], [4, "4 hours"], [24, "1 day"], [168, "1 week"]].map(([value, text]) => element("option", { value }, text)));
  const press = async () => {
    await send("v1/silences", "POST", { key: spoken(one.key), hours: Number(hours.value), reason: "from the page" });
    say(`${named(one.key)} is silenced`);
    await look();
  };
  return element("div", { className: "row" }, hours,
    element("button", { type: "button", className: "silence", "aria-label": `Silence ${named(one.key)}`, onclick: press }, "Silence"));
}

function silencedRow(silence) {
  return element("div", { className: "row silenced" },
    element("span", {}, `Silenced ${silence.ends ? `until ${clock(silence.ends)} UTC` : "until ended"} by ${silence.author}`), endButton(silence));
}

function endButton(silence) {
  const press = async () => {
    await send(`v1/silences/${silence.id}`, "DELETE");
    await look();
  };
  const label = `End the silence of ${silence.key.type === "*" ? "every key" : named(silence.key)}`;
  return element("button", { type: "button", "aria-label": label, onclick: press }, "End");
}

function silenceLine(one) {
  const what = one.key.type === "*" ? "every key" : spoken(one.key);
  const when = [one.weekly, one.ends ? `until ${clock(one.ends)}` : "until ended"].filter(Boolean).join(", ");
  const why = [one.reason, one.author].filter(Boolean).join(", ");
  return element("li", {}, element("span", {}, `${what}: ${when}`, element("br"), element("span", { className: "soft" }, why)), endButton(one));
}

function drawAlerts() {
  const firing = shown.alerts.filter((one) => one.status === "firing");
  const ended = shown.alerts.filter((one) => one.status !== "firing");
  const loud = firing.filter((one) => !one.silence);
  firing.sort((one, other) => Boolean(one.silence) - Boolean(other.silence) || SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
  fill("firing", firing.map(alert), "Nothing fires.");
  fill("ended", ended.slice(0, 20).map(alert), "None yet.");
  fill("silences", shown.silences.map(silenceLine), "None.");
  document.title = loud.length ? `(${loud.length}) finance-monitor` : "finance-monitor";
  fresh = new Set();
}

function fill(id, children, otherwise) {
  const tag = id === "silences" ? "li" : "p";
  put(at(id), children.length ? children : [element(tag, { className: "empty" }, otherwise)]);
}

// Nobody loses their place: what stays is not moved, and where a control goes, the new one of its name has the focus.
function put(place, children) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  [...place.children].filter((one) => !children.includes(one)).forEach((one) => one.remove());
  children.forEach((one, spot) => {
    if (place.children[spot] !== one) place.insertBefore(one, place.children[spot] ?? null);
  });
  if (!held || held.isConnected) return;
  const label = (control) => control.getAttribute("aria-label") ?? control.textContent;
  [...place.querySelectorAll(held.localName)].find((one) => label(one) === label(held))?.focus();
}

function focusWhy(id) {
  document.querySelector(`.why[data-alert="${id}"]`)?.focus();
}

// ---- charts

function spansOf(key) {
  const mine = (other) => other.type === key.type && other.value === key.value;
  const until = Date.parse(shown.series.times.at(-1));
  return shown.alerts
    .filter((one) => mine(one.key) || one.related.some(mine))
    .map((one) => [Date.parse(one.opened), one.closed ? Date.parse(one.closed) : until]);
}

function firingOf(key) {
  return shown.alerts.find((one) => one.status === "firing" && [one.key, ...one.related].some((other) => spoken(other) === spoken(key)));
}

function card(one, height) {
  const { times } = shown.series;
  const [stories, negative] = [one.stories, one.negative].map((values) => values.reduce((sum, value) => sum + value, 0));
  const expected = one.expected.reduce((sum, value) => sum + value, 0);
  const firing = firingOf(one.key);
  const readout = element("p", { className: "readout", "aria-live": "polite" });
  const label = `${named(one.key)}: ${negative} of ${stories} stories negative, ${amount(expected)} expected; arrow keys go through it`;
  const read = (place) => {
    readout.textContent = place === null ? `${clock(times[0])} to ${clock(times.at(-1))} UTC, up to ${Math.max(...one.stories)} at once` : words(times, one, place);
  };
  read(null);
  const plot = chart(times, one, spansOf(one.key), height, label, read);
  return element("article", { className: `card${firing ? (firing.silence ? " silenced" : " firing") : ""}` },
    element("div", { className: "head" },
      element("button", { type: "button", className: "name", title: named(one.key), onclick: () => enlarge(one.key) }, named(one.key)),
      element("span", { className: "sum" }, element("b", {}, String(negative)), ` of ${stories}, ${amount(expected)} expected`)),
    plot, readout);
}

function drawCharts() {
  if (!shown.series || document.activeElement?.closest("svg")) return; // nobody loses their place in a chart
  const wanted = at("filter").value.trim().toLowerCase();
  const fits = (one) => named(one.key).toLowerCase().includes(wanted);
  for (const type of ["all", "topic", "company"]) {
    const mine = shown.series.series.filter((one) => one.key.type === type && (type === "all" || fits(one)));
    mine.sort((one, other) => Boolean(firingOf(other.key)) - Boolean(firingOf(one.key)));
    fill(type, mine.map((one) => card(one, type === "all" ? 110 : 56)), "None in this time.");
  }
  at("known").replaceChildren(...shown.keys.map((one) => element("option", { value: spoken(one.key) })));
  if (open) enlarge(open);
}

function enlarge(key) {
  const one = shown.series.series.find((other) => spoken(other.key) === spoken(key));
  const dialog = at("large");
  if (!one) return;
  open = key;
  const { times } = shown.series;
  const places = times.map((_, place) => place).filter((place) => one.stories[place]).reverse();
  const rows = places.slice(0, 200).map((place) => element("tr", {},
    element("td", {}, clock(times[place])),
    ...[one.stories[place], one.negative[place], amount(one.expected[place])].map((value) => element("td", {}, String(value)))));
  put(dialog, [
    element("div", { className: "row" }, element("h2", { id: "large-title" }, named(key)),
      element("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    card(one, 220),
    element("table", {}, element("caption", { className: "unseen" }, "Spans with stories, the newest first"),
      element("thead", {}, element("tr", {}, ...["to (UTC)", "stories", "negative", "expected"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows))]);
  if (!dialog.open) dialog.showModal();
}

// ---- news of it all

async function look() {
  const [hours, every] = at("range").value.split(",");
  const [alerts, silences, keys, status] = await Promise.all(
    ["v1/alerts?limit=100", "v1/silences", `v1/keys?hours=${hours}&limit=${KEYS}`, "v1/status"].map(got));
  const wanted = new Map([...keys, ...alerts.filter((one) => one.status === "firing")].map((one) => [spoken(one.key), one.key]));
  wanted.set("all:all", { type: "all", value: "all" });
  const query = [...wanted.keys()].map((key) => `key=${encodeURIComponent(key)}`).join("&");
  const series = await got(`v1/series?hours=${hours}&every=${every}&${query}`);
  Object.assign(shown, { alerts, silences, keys, series });
  figures(status);
  drawAlerts();
  drawCharts();
}

function figures(status) {
  const [left, lost] = [status.undelivered, status.given_up].map((counts) => Object.values(counts).reduce((sum, count) => sum + count, 0));
  const all = { "feed at": `${clock(status.newest ?? status.time)} UTC`, items: status.items, late: status.late,
    twice: status.duplicates, "dead letters": status.dead, undelivered: left,
    ...(lost && { "given up": lost }) };
  const cheap = status.routes.cheap + status.routes.overload;
  if (cheap) all["by the cheap model"] = cheap;
  at("pending").textContent = status.pending.length ? `May be about to: ${status.pending.map((one) => named(one.key)).join(", ")}` : "";
  at("figures").replaceChildren(...Object.entries(all).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, typeof value === "number" ? value.toLocaleString("en") : value))));
}

let due = null;
function lookSoon() {
  due ??= setTimeout(() => {
    due = null;
    look().catch((fault) => say(fault.message));
  }, SOON);
}

function say(text) {
  at("said").textContent = text;
}

function live(state, text) {
  at("live").dataset.state = state;
  at("live").textContent = text;
}

function happened(text) {
  const fields = Object.fromEntries(text.split("\n").map((line) => line.split(/: ?(.*)/s)));
  if (!fields.event) return;
  last = fields.id ?? last;
  if (fields.event === "change") {
    const one = JSON.parse(fields.data);
    fresh.add(one.id);
    if (!one.silence) say(`${one.status === "firing" ? one.severity : "ended"}: ${named(one.key)}`);
  }
  lookSoon();
}

// EventSource sends no key, so the stream is read by hand.
async function listen() {
  for (;;) {
    try {
      const answer = await call("v1/events", { headers: last ? { "Last-Event-ID": last } : {} });
      live("live", "live");
      lookSoon();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let held = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (held + part.value).split("\n\n");
        held = events.pop();
        events.forEach(happened);
      }
    } catch {}
    live("waiting", "not connected, trying again");
    await new Promise((done) => setTimeout(done, RETRY));
  }
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  at("theme").textContent = dark ? "Light" : "Dark";
}

const asked = localStorage.getItem("theme");
theme(asked ? asked === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
at("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme !== "dark";
  localStorage.setItem("theme", dark ? "dark" : "light");
  theme(dark);
});
at("range").addEventListener("change", lookSoon);
at("filter").addEventListener("input", drawCharts);
at("large").addEventListener("close", () => { open = null; });
at("why").addEventListener("close", ({ target }) => {
  focusWhy(target.dataset.alert); // the one that was pressed may be drawn anew
});
at("ask").addEventListener("close", () => {
  sessionStorage.setItem("key", at("ask").querySelector("input").value.trim());
  location.reload();
});
at("silence").addEventListener("input", (event) => {
  const { hours, weekly } = event.currentTarget;
  hours.required = !weekly.value.trim();
});
at("silence").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  if (values.hours) values.hours = Number(values.hours);
  const fault = form.querySelector(".fault");
  try {
    await send("v1/silences", "POST", values);
    fault.textContent = "";
    form.reset();
    form.hours.required = true;
    await look();
  } catch (problem) {
    fault.textContent = problem.message;
  }
});
look().catch((fault) => say(fault.message));
listen();
