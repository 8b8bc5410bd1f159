/** One answer on its way: asks the server, fills the answer, and says in words how it ended. */

import {LostError, ServerError} from "./client.js";
import {addRun} from "./drafts.js";
import {freshCounts, takeTimings, TIERS} from "./tally.js";

const BUSY = [429, 503];

export class Reply {
  /**
   * @param {Conversation} conversation whose last question is answered
   * @param {Object} parts the page's `client`, `settings` and `window` (of the context)
   * @param {Function} changed called whenever the answer has changed
   */
  constructor(conversation, {client, settings, window}, changed) {
    Object.assign(this, {conversation, client, settings, window, changed});
    this.answer = conversation.last.answer;
    this.controller = new AbortController();
    this.progress = null; // of reading the prompt, as the server tells it
    this.error = null; // what ended it
    this.began = 0;
  }

  /** The server notices and stops, too. */
  stop() {
    this.controller.abort();
  }

  /** Works until the answer has ended, in whatever way; never throws. */
  async run() {
    const {answer, conversation} = this;
    conversation.running = this;
    answer.end = "running";
    try {
      await this.#askUntilItFits();
      if (answer.end === "running") answer.end = "done";
    } catch (error) {
      this.error = error;
      this.#tell(error);
    } finally {
      conversation.running = null;
      this.changed();
    }
  }

  async #askUntilItFits() {
    const {answer, conversation, settings} = this;
    for (;;) {
      conversation.dropped = await this.window.fit(conversation, settings.system, settings.limit);
      answer.dropped = conversation.dropped;
      this.controller.signal.throwIfAborted();
      try {
        return await this.#stream();
      } catch (error) {
        const full = error instanceof ServerError && error.code === "context_length_exceeded";
        if (!full || answer.text || conversation.dropped >= conversation.turns.length - 1) throw error;
        conversation.dropped += 1; // the count was a little low
      }
    }
  }

  async #stream() {
    const {answer, conversation, settings} = this;
    const body = {messages: conversation.messages(settings.system), ...settings.fields(), include_tiers: true, return_progress: true};
    answer.counts = freshCounts();
    for await (const chunk of this.client.chat(body, this.controller.signal)) {
      if (chunk.prompt_progress) this.progress = chunk.prompt_progress;
      for (const choice of chunk.choices) this.#take(choice);
      if (chunk.timings) takeTimings(answer.counts, chunk.timings);
      this.changed();
    }
    if (answer.end === "length") answer.note = this.#whyShort();
  }

  #take({delta, tier, finish_reason: reason}) {
    const {answer} = this, content = delta.content ?? "", thoughts = delta.reasoning_content ?? "";
    if (content) {
      answer.text += content;
      addRun(answer.runs, tier, content.length);
    }
    if (thoughts) {
      answer.thoughts += thoughts;
      addRun(answer.thoughtRuns, tier, thoughts.length);
    }
    if (content || thoughts) {
      const {counts} = answer, now = performance.now();
      this.began ||= now;
      counts.tokens += 1;
      if (TIERS.includes(tier)) counts.tiers[TIERS.indexOf(tier)] += 1;
      counts.speed = 1000 * (counts.tokens - 1) / Math.max(now - this.began, 1);
    }
    if (reason === "length") answer.end = "length";
  }

  #whyShort() {
    const {limit} = this.settings;
    return limit && this.answer.counts.tokens >= limit
      ? `The answer ends here: it has the ${limit} tokens that the settings allow.`
      : `The answer ends here: the context window of ${this.window.size.toLocaleString("en")} tokens is full.`;
  }

  #tell(error) {
    const {answer} = this;
    answer.end = "failed";
    if (error.name === "AbortError") Object.assign(answer, {end: "stopped", note: "Stopped."});
    else if (error instanceof LostError) answer.note = error.message;
    else if (error instanceof ServerError) answer.note = this.#refusal(error);
    else answer.note = `The page has a mistake: ${error.message}`;
  }

  #refusal({status, code, message}) {
    if (status === 401) return "The server asks for an API key: it stands in the settings.";
    if (code === "context_length_exceeded")
      return `This question alone does not fit the model’s context window of ${this.window.size.toLocaleString("en")} tokens: shorten it.`;
    return BUSY.includes(status) ? `The server is busy, try again in a moment: ${message}` : `The server refuses: ${message}`;
  }
}
