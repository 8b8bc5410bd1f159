/** The middle of the page: the turns of the open conversation, and where the next message is written. */

import {byId, make} from "./element.js";
import {TurnView} from "./turn_view.js";

const NEAR = 80; // pixels from the end within which the page follows an answer
const SHARE = 4; // the page draws at most a fifth of the time: the rest is the user's
const HIGHEST = 240; // pixels of the message

export class Talk {
  /** @param {Object} actions `send(question, index)`, `again(index)`, `stop()`, `drafts()`, `size()` */
  constructor(actions) {
    this.actions = actions;
    this.views = [];
    this.conversation = null;
    this.planned = 0;
    this.dropped = make("p", {class: "dropped"});
    this.pane = byId("talk");
    this.box = byId("text");
    byId("form").addEventListener("submit", event => {
      event.preventDefault();
      this.#send();
    });
    this.box.addEventListener("keydown", event => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.conversation.running) this.#send();
    });
    this.box.addEventListener("input", () => this.#grow());
    document.addEventListener("keydown", event => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) this.actions.stop();
    });
    this.pane.addEventListener("scroll", () => this.#showDown(), {passive: true});
    byId("down").addEventListener("click", () => {
      this.#toEnd();
      this.box.focus();
    });
  }

  /** Shows a conversation; `same`: it is the one that is shown; `end`: go to its end. */
  open(conversation, {same = false, end = !same} = {}) {
    const follow = end || this.#fromEnd() < NEAR, before = this.views;
    this.conversation = conversation;
    this.views = conversation.turns.map((turn, index) => this.#kept(turn) ?? this.#view(turn, index));
    if (this.views.length !== before.length || this.views.some((view, i) => view !== before[i]))
      byId("turns").replaceChildren(...this.views.map(view => view.element));
    this.changed(true);
    if (follow) this.#toEnd();
    this.#showDown();
  }

  #kept(turn) {
    const view = this.views.find(one => one.turn === turn && one.shown === turn.answer);
    return view && this.conversation.turns.indexOf(turn) === view.index ? view : undefined;
  }

  #view(turn, index) {
    const {conversation} = this;
    const view = new TurnView(turn, {
      edit: question => this.actions.send(question, index),
      again: () => this.actions.again(index),
      drafts: this.actions.drafts,
      reply: () => conversation.running?.answer === turn.answer ? conversation.running : null,
    });
    return Object.assign(view, {shown: turn.answer, index});
  }

  /** The last answer has changed; `all`: everything may have. */
  changed(all = false) {
    if (all) this.#draw(all);
    else if (!this.planned) {
      this.planned = setTimeout(() => {
        this.planned = 0;
        const began = performance.now();
        this.#draw(false);
        this.pause = SHARE * (performance.now() - began);
      }, this.pause ?? 0);
    }
  }

  #draw(all) {
    const follow = this.#fromEnd() < NEAR;
    for (const view of all ? this.views : this.views.slice(-1)) view.update();
    this.#showDropped();
    const running = Boolean(this.conversation?.running);
    byId("send").textContent = running ? "Stop" : "Send";
    byId("send").classList.toggle("stop", running);
    byId("empty").hidden = this.views.length > 0;
    if (follow && running) this.#toEnd();
    this.#showDown();
  }

  /** A line between what the model no longer reads and what it reads. */
  #showDropped() {
    const dropped = this.conversation?.dropped ?? 0;
    const next = dropped ? this.views[dropped]?.element : undefined;
    if (next && this.dropped.nextSibling === next) return;
    this.dropped.remove();
    const [what, them] = dropped === 1 ? ["turn above no longer fits", "it"] : [`${dropped} turns above no longer fit`, "them"];
    const size = this.actions.size().toLocaleString("en");
    this.dropped.textContent = `The ${what} the model’s context window of ${size} tokens: it answers without ${them}.`;
    next?.before(this.dropped);
  }

  #send() {
    if (this.conversation.running) {
      this.actions.stop();
      return;
    }
    const question = this.box.value.trim();
    if (!question) return;
    this.box.value = "";
    this.#grow();
    this.actions.send(question);
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, HIGHEST)}px`;
  }

  #fromEnd() {
    return this.pane.scrollHeight - this.pane.scrollTop - this.pane.clientHeight;
  }

  #toEnd() {
    this.pane.scrollTop = this.pane.scrollHeight;
  }

  #showDown() {
    byId("down").hidden = this.#fromEnd() < NEAR;
  }
}
