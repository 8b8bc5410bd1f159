/** A question and its answer on the page. */

import {copy, make} from "./element.js";
import {Markdown} from "./markdown.js";
import {tally} from "./tally.js";

const LONG = 1000; // milliseconds of reading that are worth a line

export class TurnView {
  /**
   * @param {Object} turn
   * @param {Object} actions `edit(question)`, `again()`, `drafts()` (shown or not), `reply()` (running one, or null)
   */
  constructor(turn, actions) {
    Object.assign(this, {turn, actions});
    this.question = make("div", {class: "question"});
    this.thoughts = new Markdown();
    this.thoughtsLabel = make("summary");
    this.fold = make("details", {class: "thoughts", hidden: true}, this.thoughtsLabel, this.thoughts.element);
    this.text = new Markdown();
    this.waiting = make("div", {class: "waiting", hidden: true});
    this.note = make("p", {class: "note", hidden: true});
    this.numbers = make("div", {class: "numbers"});
    this.copy = button("Copy", () => copy(turn.answer.text, this.copy));
    this.again = button("Regenerate", () => actions.again());
    this.buttons = make("div", {class: "actions"}, this.copy, this.again);
    this.answer = make("div", {class: "answer", role: "group", "aria-label": "Answer"},
      this.fold, this.text.element, this.waiting, this.note, make("div", {class: "foot"}, this.numbers, this.buttons));
    this.element = make("article", {class: "turn", "aria-label": "Question and answer"}, this.question, this.answer);
    this.#showQuestion();
    this.update();
  }

  /** Shows the answer as it is now. */
  update() {
    const {answer} = this.turn, reply = this.actions.reply(), drafts = this.actions.drafts();
    this.answer.setAttribute("aria-busy", String(Boolean(reply)));
    this.fold.hidden = !answer.thoughts;
    this.thoughtsLabel.textContent = reply && !answer.text ? "Thinking …" : "Thoughts";
    this.thoughts.show(answer.thoughts, drafts ? answer.thoughtRuns : null);
    this.text.show(answer.text, drafts ? answer.runs : null);
    this.#showWaiting(reply);
    const cut = answer.end === "running" && !reply;
    this.note.textContent = cut ? "This answer is not whole: the page was left before it ended, or another tab is at it." : answer.note;
    this.note.hidden = !this.note.textContent;
    this.note.classList.toggle("wrong", cut || answer.end === "failed");
    this.numbers.replaceChildren(...tally(answer.counts));
    this.buttons.hidden = Boolean(reply);
    this.copy.hidden = !answer.text;
    this.again.textContent = cut || answer.end === "failed" ? "Try again" : "Regenerate";
  }

  /** Opens the question for editing. */
  edit() {
    const area = make("textarea", {"aria-label": "Edit the message", dir: "auto", rows: 1});
    const send = () => {
      const question = area.value.trim();
      if (question) this.actions.edit(question);
    };
    const cancel = () => {
      this.#showQuestion();
      this.question.querySelector("button").focus();
    };
    area.value = this.turn.question;
    area.addEventListener("keydown", event => {
      if (event.key === "Escape") {
        event.stopPropagation();
        cancel();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    const fit = () => {
      area.style.height = "auto";
      area.style.height = `${area.scrollHeight + 2}px`;
    };
    area.addEventListener("input", fit);
    this.question.replaceChildren(make("div", {class: "editing"}, area, make("div", {class: "buttons"},
      button("Cancel", cancel), make("button", {type: "button", class: "main", click: send}, "Send"))));
    fit();
    area.focus();
  }

  #showQuestion() {
    const copying = button("Copy", () => copy(this.turn.question, copying));
    this.question.replaceChildren(
      make("div", {class: "bubble"}, make("span", {class: "unseen"}, "You: "), this.turn.question),
      make("div", {class: "actions"}, button("Edit", () => this.edit()), copying));
  }

  #showWaiting(reply) {
    const {text, thoughts} = this.turn.answer;
    this.waiting.hidden = !reply || Boolean(text || thoughts);
    if (this.waiting.hidden) return;
    const told = reading(reply.progress);
    if (!told) {
      if (!this.waiting.querySelector(".dots"))
        this.waiting.replaceChildren(make("span", {class: "dots", role: "img", "aria-label": "Waiting for the model"}, "●", "●", "●"));
      return;
    }
    const {total, processed} = reply.progress;
    this.waiting.replaceChildren(make("progress", {max: total, value: processed, "aria-label": "Reading the conversation"}), make("span", {}, told));
  }
}

/** How much of a long prompt is read, and how long the rest takes at this rate; empty where it takes no time. */
function reading(progress) {
  if (!progress) return "";
  const {total, cache, processed, time_ms: spent} = progress;
  const rate = (processed - cache) / Math.max(spent, 1), left = total - processed;
  if (left <= 0 || rate <= 0 || (total - cache) / rate < LONG) return "";
  return `reading ${processed.toLocaleString("en")} of ${total.toLocaleString("en")} tokens, ${Math.ceil(left / rate / 1000)} s left`;
}

function button(label, click) {
  return make("button", {type: "button", class: "quiet", click}, label);
}
