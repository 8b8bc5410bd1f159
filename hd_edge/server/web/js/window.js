/** The model's context window: how many of the oldest turns no longer fit. */

import {ServerError} from "./client.js";

const TEMPLATE = 8; // tokens of one message, about: role and markers
const RESERVE = 512; // tokens for an answer of no given length
const KEPT = 3 / 4; // of the window once turns are dropped: the next questions drop none, and what is read stays read

export class Window {
  constructor(client) {
    this.client = client;
    this.name = ""; // of the model
    this.size = 0; // tokens; 0: the server has not told, or does not
    this.counts = new Map(); // of texts
  }

  /** Asks the server for its model, until it has told. */
  async learn() {
    if (!this.name) Object.assign(this, await this.client.model());
  }

  /**
   * How many of the oldest turns to leave out so that the last question and its answer fit.
   * @param {number} limit most tokens of the answer, if there is a limit
   */
  async fit(conversation, system, limit) {
    await this.learn();
    if (!this.size) return conversation.dropped;
    const reserve = Math.min(limit ?? RESERVE, Math.floor(this.size / 4));
    let dropped = conversation.dropped;
    const fits = async size => await this.#tokens(conversation.messages(system, dropped)) + reserve <= size;
    if (await fits(this.size)) return dropped;
    while (dropped < conversation.turns.length - 1) {
      dropped += 1;
      if (await fits(this.size * KEPT)) break;
    }
    return dropped;
  }

  async #tokens(messages) {
    let sum = 0;
    for (const {content} of messages) {
      if (!this.counts.has(content)) this.counts.set(content, await this.#count(content));
      sum += this.counts.get(content) + TEMPLATE;
    }
    return sum;
  }

  async #count(text) {
    try {
      return await this.client.count(text);
    } catch (error) {
      if (error instanceof ServerError && error.code === "context_length_exceeded") return Infinity;
      throw error;
    }
  }
}
