// Keys: every element with data-key is pressed by that key, or by two after another ("g m"), unless someone is writing.

const WRITES = "input, textarea, select, [contenteditable=true]";
let before = "";

const shown = (element) => element.getClientRects().length > 0;
const keyed = () => [...document.querySelectorAll("[data-key]")];

function told(element) {
  const spoken = element.cloneNode(true);
  for (const icon of spoken.querySelectorAll("[aria-hidden=true]")) icon.remove();
  return element.getAttribute("aria-label") || spoken.textContent.replace(/\s+/g, " ").trim();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") return help(false);
  if (event.target.closest(WRITES)) return;
  const wanted = before ? `${before} ${event.key}` : event.key;
  const fits = (element) => element.dataset.key === wanted && (shown(element) || element.closest("nav"));
  const found = keyed().find(fits);
  before = !before && keyed().some((element) => element.dataset.key.startsWith(`${event.key} `)) ? event.key : "";
  if (!found) return;
  event.preventDefault();
  if (found.dataset.keys) help(true);
  else if (found.matches(WRITES)) found.focus();
  else found.click();
});

addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) help(true);
});

function help(open) {
  document.getElementById("keys")?.remove();
  const button = document.querySelector("[data-keys]");
  if (!open || !button) return;
  const dialog = document.createElement("dialog");
  dialog.id = "keys";
  const title = document.createElement("h2");
  title.textContent = button.dataset.keys;
  const list = document.createElement("dl");
  for (const element of keyed()) {
    const key = document.createElement("dt");
    for (const part of element.dataset.key.split(" ")) key.append(Object.assign(document.createElement("kbd"), { textContent: part }));
    list.append(key, Object.assign(document.createElement("dd"), { textContent: told(element) }));
  }
  const close = Object.assign(document.createElement("button"), { textContent: button.dataset.close, onclick: () => help(false) });
  dialog.append(title, list, close);
  document.body.append(dialog);
  dialog.showModal();
}
