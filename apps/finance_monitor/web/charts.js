// Charts as SVG: stories pale, negative ones over them, a line for what was expected, and the spans of alerts.

const NS = "http://www.w3.org/2000/svg";

/** An element; texts become text, never markup. */
export function element(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** "Fri 6 Mar, 13:15" in UTC, as alerts are told. */
export function clock(time) {
  const parts = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: "UTC" }).format(new Date(time));
}

function shape(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A number with two digits that say something. */
export function amount(value) {
  return value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}

/** What a span holds, in words. */
export function words(times, one, at) {
  return `to ${clock(times[at])}: ${one.negative[at]} of ${one.stories[at]} negative, ${amount(one.expected[at])} expected`;
}

/** Whole numbers up to `most` at even, round distances, so many of them at most beside the zero. */
export function ticks(most, many) {
  const size = 10 ** Math.floor(Math.log10(most / many));
  const step = Math.max(1, [1, 2, 5, 10].map((times) => times * size).find((each) => most / each < many + 1));
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step);
}

/**
 * A chart of one key with an axis beside it. The pointer, or the arrow keys, move over its spans; `readout` says what they hold.
 * @param spans [opened, closed] of the key's alerts, in milliseconds.
 */
export function chart(times, one, spans, height, label, readout) {
  const width = times.length;
  const most = Math.max(3, ...one.stories, ...one.expected);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", height, role: "img", tabindex: 0, "aria-label": label,
  });
  const y = (value) => height - 1 - (value / most) * (height - 4);
  const starts = Date.parse(times[0]);
  const span = width > 1 ? Date.parse(times[1]) - starts : 1;
  const x = (time) => Math.min(width, Math.max(0, (time - starts) / span + 1));
  for (const [opened, closed] of spans) {
    const [left, right] = [x(opened), x(closed)];
    if (right > left) svg.append(shape("rect", { class: "surge", x: left, y: 0, width: right - left, height }));
  }
  for (const name of ["stories", "negative"]) {
    one[name].forEach((value, at) => {
      if (value) svg.append(shape("rect", { class: name, x: at + 0.1, y: y(value), width: 0.8, height: height - 1 - y(value) }));
    });
  }
  const axis = element("div", { className: "axis", "aria-hidden": "true" });
  for (const value of ticks(most, height < 80 ? 2 : 4)) {
    axis.append(element("span", { style: `top: ${y(value)}px` }, String(value)));
    if (value) svg.append(shape("line", { class: "tick", x1: 0, x2: width, y1: y(value), y2: y(value) }));
  }
  const line = one.expected.map((value, at) => `${at ? "L" : "M"}${at} ${y(value)}H${at + 1}`).join("");
  svg.append(shape("path", { class: "expected", d: line }));
  svg.append(shape("line", { class: "base", x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }));
  const cursor = shape("rect", { class: "cursor", y: 0, width: 1, height, visibility: "hidden" });
  svg.append(cursor);
  let at = null;
  const show = (place) => {
    at = place === null ? null : Math.min(width - 1, Math.max(0, place));
    cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) cursor.setAttribute("x", at);
    readout(at);
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width) * width));
  });
  svg.addEventListener("pointerleave", () => show(null));
  svg.addEventListener("blur", () => show(null));
  svg.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: (at ?? width) - 1, ArrowRight: (at ?? width - 2) + 1, Home: 0, End: width - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
  return element("div", { className: "plot" }, axis, svg);
}
