// Why an alert fired, in a dialog: the stories that decided it, and its worst headlines with their words in colour.

import { element } from "./charts.js";

const FAINT = 0.05; // share of the strongest word under which a word has no colour
const SHOWN = 8; // stories shown at once
const STRONGEST = 5; // words named with their figures, for those who see no colour

/**
 * Ask for an explanation, as often as the server says to come again, and show it while the dialog is open for it.
 * @param got gives the answer of a path of the API; its error says under `again` after how many seconds to ask again.
 */
export async function why(dialog, one, name, got) {
  const told = element("div", {}, element("p", { className: "soft", role: "status" }, "Reading all news of the state again. After months of it that takes a minute or more."));
  dialog.dataset.alert = one.id;
  dialog.replaceChildren(
    element("div", { className: "row" }, element("h2", { id: "why-title" }, `Why ${name} fired`),
      element("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    told);
  if (!dialog.open) dialog.showModal();
  const mine = () => dialog.open && told.isConnected;
  while (mine()) {
    try {
      const found = await got(`v1/alerts/${one.id}/explanation`);
      told.replaceChildren(...decisive(found.decisive).filter(Boolean), ...headlines(found.words));
      return;
    } catch (fault) {
      if (!fault.again) {
        told.replaceChildren(element("p", { className: "fault", role: "alert" }, fault.message));
        return;
      }
      await new Promise((done) => setTimeout(done, 1000 * fault.again));
    }
  }
}

function decisive(found) {
  if (!found) return [element("p", {}, "No count of stories decides it: volume and drift are told by all of them.")];
  const { stories, of, without_them: rest } = found;
  const end = rest.fires ? "it fires all the same, as names and stories that hung on them change too" : "it does not fire";
  const lines = stories.map((story) => element("li", {}, story.title, " ", element("span", { className: "soft" }, story.id)));
  const list = (from, to) => element("ol", { className: "decisive", start: from + 1 }, ...lines.slice(from, to));
  return [
    element("p", {}, `${stories.length} of its ${of} stories decide. Without them ${end}.`),
    list(0, SHOWN),
    lines.length > SHOWN ? element("details", {}, element("summary", {}, `${lines.length - SHOWN} more`), list(SHOWN)) : null,
    ...rest.instead.map((other) => element("p", { className: "soft" }, `instead: ${other.key.type} ${other.key.value}, ${other.opened}`)),
  ];
}

function headlines(found) {
  if (!found.length) return [element("p", { className: "soft" }, "None of its headlines is in a language that its model explains.")];
  return [
    element("h3", {}, "Its worst headlines, word by word"),
    element("p", { className: "legend" }, element("mark", { className: "for" }, "makes it negative"), element("mark", { className: "against" }, "speaks against")),
    ...found.map(headline),
    element("p", { className: "soft" }, `Integrated gradients on ${found[0].model}: what each word adds to the logit of "${found[0].label}".`),
  ];
}

function headline(one) {
  const letters = Array.from(one.text); // places are those of characters, not of UTF-16
  const most = Math.max(...one.words.map((word) => Math.abs(word.attribution))) || 1;
  const line = element("p", { className: "words" });
  let at = 0;
  for (const word of one.words) {
    const share = word.attribution / most;
    line.append(letters.slice(at, word.start).join(""));
    const text = letters.slice(word.start, word.end).join("");
    line.append(Math.abs(share) < FAINT ? text : element("mark", { className: share > 0 ? "for" : "against", title: figure(word), style: `--share: ${Math.round(100 * Math.abs(share))}%` }, text));
    at = word.end;
  }
  line.append(letters.slice(at).join(""));
  const strongest = [...one.words].sort((first, other) => Math.abs(other.attribution) - Math.abs(first.attribution)).slice(0, STRONGEST);
  return element("div", { className: "explained" }, line,
    element("p", { className: "soft" }, `${strongest.map((word) => `${word.text} ${figure(word)}`).join(", ")}; ${(100 * one.answered).toFixed(1)}% ${one.label}`));
}

function figure(word) {
  return `${word.attribution < 0 ? "−" : "+"}${Math.abs(word.attribution).toFixed(2)}`;
}
