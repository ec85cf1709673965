/* Keel's support chat as a web component. One tag is all a page needs:
 *
 *   <script src="https://support.example/widget.js" data-key="keel_widget_..." async></script>
 *
 * The key is public: it works in the pages it was made for, and opens no one else's conversation. Attributes: data-key,
 * data-title, data-lang ("en" or "zh"; else the page's), data-consent (the page's visitors have agreed that models are
 * trained on what they write). Nothing is loaded from elsewhere and no cookie is set; the conversation's id stays in the
 * tab's sessionStorage.
 */
(() => {
  "use strict";

  const WORDS = {
    en: {
      title: "Support", open: "Open support chat", close: "Close", human: "Talk to a person",
      back: "Back to the assistant", send: "Send", label: "Your message", hello: "Hello! How can I help?", customer: "You", bot: "Assistant", agent: "Agent",
      sources: "Sources", good: "Helpful", bad: "Not helpful", noted: "Thank you.", typing: "Writing an answer…",
      failed: "That did not work: ", again: "Try again.",
    },
    zh: {
      title: "客服", open: "打开客服聊天", close: "关闭", human: "转人工", back: "返回助手", send: "发送", label: "您的消息",
      hello: "您好！请问有什么可以帮您？", customer: "您", bot: "助手", agent: "客服", sources: "来源", good: "有帮助",
      bad: "没有帮助", noted: "谢谢。", typing: "正在回答…", failed: "出错了：", again: "请重试。",
    },
  };
  const STYLE = `
    :host { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; font: 16px/1.45 system-ui, sans-serif; color: #16202a; }
    button { font: inherit; cursor: pointer; border: 0; border-radius: .5rem; padding: .45rem .8rem; background: #e8edf2; color: inherit; }
    button:focus-visible, textarea:focus-visible, summary:focus-visible { outline: 3px solid #f4b400; outline-offset: 2px; }
    button[disabled] { opacity: .5; cursor: default; }
    .launch, .send { background: #0b5c8f; color: #fff; }
    .launch { border-radius: 2rem; padding: .7rem 1.2rem; box-shadow: 0 2px 10px #0004; }
    section { display: flex; flex-direction: column; width: min(24rem, calc(100vw - 2rem)); height: min(34rem, calc(100vh - 2rem));
      background: #fff; border-radius: .8rem; box-shadow: 0 6px 30px #0005; overflow: hidden; }
    [hidden] { display: none !important; }
    header { display: flex; gap: .5rem; align-items: center; padding: .6rem .8rem; background: #0b5c8f; color: #fff; }
    h2 { font-size: 1rem; margin: 0; flex: 1; }
    header button { background: #ffffff2b; color: #fff; }
    ol { list-style: none; margin: 0; padding: .8rem; flex: 1; overflow-y: auto; display: flex; flex-direction: column; gap: .6rem; }
    li { max-width: 88%; padding: .5rem .75rem; border-radius: .7rem; background: #eef2f6; overflow-wrap: anywhere; align-self: flex-start; }
    li.customer { align-self: flex-end; background: #d7ebf8; }
    li.fault { background: #fde7e7; }
    .who { font-size: .75rem; color: #44525f; display: block; }
    .said { white-space: pre-line; margin: 0; }
    details { font-size: .85rem; margin-top: .35rem; }
    blockquote { margin: .3rem 0; padding-left: .5rem; border-left: 3px solid #9fb4c5; }
    .judge { display: flex; gap: .4rem; margin-top: .4rem; font-size: .8rem; }
    .judge button { background: #fff; padding: .2rem .5rem; border: 1px solid #b6c4d0; }
    form { display: flex; gap: .5rem; padding: .6rem; border-top: 1px solid #dde4ea; }
    textarea { flex: 1; font: inherit; resize: none; height: 2.6rem; box-sizing: border-box; padding: .5rem; border: 1px solid #8395a5; border-radius: .5rem; }
    .status { min-height: 1.2rem; padding: 0 .8rem; font-size: .8rem; color: #44525f; margin: 0; }
    @media (prefers-reduced-motion: no-preference) { ol { scroll-behavior: smooth; } }
  `;
  const POLL_MS = 3000;

  class KeelChat extends HTMLElement {
    constructor() {
      super();
      this.root = this.attachShadow({ mode: "open" });
      this.last = 0;
    }

    connectedCallback() {
      if (this.root.childElementCount) return;
      const page = (this.getAttribute("lang") || document.documentElement.lang || navigator.language || "en").toLowerCase();
      this.tongue = page.startsWith("zh") ? "zh" : "en";
      this.words = WORDS[this.tongue];
      const title = this.getAttribute("title-text") || this.words.title;
      const style = make("style", { textContent: STYLE });
      this.launch = make("button", { className: "launch", type: "button", textContent: title });
      this.launch.setAttribute("aria-label", this.words.open);
      this.launch.setAttribute("aria-expanded", "false");
      this.panel = make("section", { hidden: true });
      this.panel.setAttribute("role", "dialog");
      this.panel.setAttribute("aria-label", title);
      const header = make("header");
      this.human = make("button", { type: "button", className: "human", textContent: this.words.human });
      this.back = make("button", { type: "button", className: "back", textContent: this.words.back });
      this.side = "bot";
      const close = make("button", { type: "button", className: "close", textContent: "×" });
      close.setAttribute("aria-label", this.words.close);
      header.append(make("h2", { textContent: title }), this.human, this.back, close);
      this.log = make("ol");
      this.log.setAttribute("role", "log");
      this.log.setAttribute("aria-live", "polite");
      this.log.setAttribute("tabindex", "0");
      this.log.setAttribute("aria-label", title);
      this.status = make("p", { className: "status" });
      this.status.setAttribute("role", "status");
      const form = make("form");
      this.input = make("textarea", { rows: 1, maxLength: 2000, placeholder: this.words.label });
      this.input.setAttribute("aria-label", this.words.label);
      this.button = make("button", { className: "send", type: "submit", textContent: this.words.send });
      form.append(this.input, this.button);
      this.panel.append(header, this.log, this.status, form);
      this.root.append(style, this.launch, this.panel);
      this.say({ role: "bot", text: this.words.hello });

      this.launch.addEventListener("click", () => this.toggle(true));
      close.addEventListener("click", () => this.toggle(false));
      this.human.addEventListener("click", () => this.work(() => this.call(`/${this.id}/human`, { lang: this.tongue })));
      this.back.addEventListener("click", () => this.work(() => this.call(`/${this.id}/bot`, {})));
      form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
      this.input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(); }
      });
      this.panel.addEventListener("keydown", (event) => { if (event.key === "Escape") this.toggle(false); });
      this.timer = setInterval(() => this.poll(), POLL_MS);
    }

    disconnectedCallback() { clearInterval(this.timer); }

    get id() { return sessionStorage.getItem("keel-chat") || ""; }
    set id(value) { sessionStorage.setItem("keel-chat", value); }

    get side() { return this.speaks; }
    set side(value) {
      this.speaks = value;
      this.human.hidden = value !== "bot";
      this.back.hidden = value !== "waiting";
    }

    async toggle(open) {
      this.panel.hidden = !open;
      this.launch.hidden = open;
      this.launch.setAttribute("aria-expanded", String(open));
      (open ? this.input : this.launch).focus();
      if (open && this.id) await this.refresh();
    }

    submit() {
      const text = this.input.value.trim();
      if (!text || this.busy) return;
      this.input.value = "";
      this.work(() => this.call(`/${this.id}/messages`, { text }), text);
    }

    /** Do something in the conversation, and show what comes of it. */
    async work(action, text) {
      if (this.busy) return;
      this.busy = true;
      this.button.disabled = true;
      this.status.textContent = this.words.typing;
      try {
        this.take(await this.done(action));
      } catch (fault) {
        this.say({ role: "fault", text: this.words.failed + fault.message + " " + this.words.again });
        if (text) this.input.value = text;
      } finally {
        this.busy = false;
        this.button.disabled = false;
        this.status.textContent = "";
        this.input.focus();
      }
    }

    /** The action in the conversation that there is; in a new one, where that is over or none has begun. */
    async done(action) {
      if (this.id) {
        try {
          return await action();
        } catch (fault) {
          if (fault.status !== 404 && fault.status !== 409) throw fault;
          await this.refresh(); // which tells the visitor that it was closed
          if (this.id) throw fault;
        }
      }
      this.id = (await this.call("", { consent: this.hasAttribute("consent") })).id;
      return action();
    }

    async poll() {
      if (!this.busy && !this.panel.hidden && this.id && (this.side === "waiting" || this.side === "agent")) await this.refresh();
    }

    async refresh() {
      const id = this.id;
      try {
        this.take(await this.call(`/${id}?after=${this.last}`));
      } catch (fault) {
        if (fault.status === 404 && id === this.id) this.leave();
      }
    }

    leave() {
      this.id = "";
      this.last = 0;
      this.side = "bot";
    }

    take(state) {
      if (state.id !== this.id) return; // asked before that conversation was left
      this.side = state.side;
      for (const turn of state.turns) {
        if (turn.number > this.last) { this.last = turn.number; this.say(turn); }
      }
      if (state.side === "closed") this.leave();
    }

    async call(path, body) {
      const response = await fetch(this.getAttribute("server") + "/v1/conversations" + path, {
        method: body ? "POST" : "GET",
        headers: { Authorization: "Bearer " + this.getAttribute("key"), ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body ? JSON.stringify(body) : undefined,
      });
      const value = await response.json().catch(() => ({}));
      if (!response.ok) throw Object.assign(new Error(value.detail || response.statusText), { status: response.status });
      return value;
    }

    /** All text is set as text: nothing that a document or a person wrote is ever read as HTML. */
    say(turn) {
      const item = make("li", { className: turn.role });
      if (this.words[turn.role]) item.append(make("span", { className: "who", textContent: this.words[turn.role] }));
      item.append(make("p", { className: "said", textContent: turn.text }));
      const cited = turn.answer ? turn.answer.citations : [];
      if (cited.length) {
        const sources = make("details");
        sources.append(make("summary", { textContent: `${this.words.sources} (${cited.length})` }));
        for (const one of cited) {
          const quote = make("blockquote", { textContent: one.quote });
          quote.prepend(make("strong", { textContent: one.title + ": " }));
          sources.append(quote);
        }
        item.append(sources, this.judge(turn.number));
      }
      this.log.append(item);
      this.log.scrollTop = this.log.scrollHeight;
    }

    /** A verdict is on the answer that it stands under, though others came since, or another conversation. */
    judge(turn) {
      const id = this.id;
      const row = make("div", { className: "judge" });
      for (const [key, good] of [["good", true], ["bad", false]]) {
        const button = make("button", { type: "button", textContent: this.words[key] });
        button.addEventListener("click", async () => {
          try {
            await this.call(`/${id}/feedback`, { good, turn });
            row.textContent = this.words.noted;
          } catch (fault) { row.textContent = this.words.failed + fault.message; }
        });
        row.append(button);
      }
      return row;
    }
  }

  function make(tag, properties) { return Object.assign(document.createElement(tag), properties); }

  if (!customElements.get("keel-chat")) customElements.define("keel-chat", KeelChat);
  const script = document.currentScript;
  if (script && script.dataset.key) {
    const chat = document.createElement("keel-chat");
    chat.setAttribute("key", script.dataset.key);
    chat.setAttribute("server", new URL(".", script.src).href.slice(0, -1)); // wherever the service is mounted
    if (script.dataset.title) chat.setAttribute("title-text", script.dataset.title);
    if ("consent" in script.dataset) chat.setAttribute("consent", "");
    if (script.dataset.lang) chat.setAttribute("lang", script.dataset.lang);
    const place = () => document.body.append(chat);
    document.body ? place() : addEventListener("DOMContentLoaded", place);
  }
})();
