/** The conversations kept in this browser (IndexedDB), in step with the page's other tabs. */

import {Conversation} from "./conversation.js";

const NAME = "hd_edge", KEPT = "conversations";
const LEFT = "hd_edge.left."; // in localStorage: IndexedDB takes its time, which a page that is left has not

export class Shelf {
  /** @param {Function} changed called with an id when another tab has changed or deleted a conversation */
  constructor(changed) {
    this.conversations = new Map();
    this.unkept = ""; // why nothing is kept
    this.channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(NAME) : null;
    this.saving = Promise.resolve();
    this.channel?.addEventListener("message", async ({data: id}) => {
      const record = await this.#do("readonly", kept => kept.get(id));
      const known = this.conversations.get(id);
      if (!record) this.conversations.delete(id);
      else if (!known) this.conversations.set(id, new Conversation(record));
      else if (!known.running && record.revision > known.revision) known.become(record);
      changed(id);
    });
  }

  /** Reads what is kept; without a place to keep things the page works, and says so. */
  async open() {
    try {
      this.base = await request(indexedDB.open(NAME, 1), opening => {
        opening.result.createObjectStore(KEPT, {keyPath: "id"});
      });
      this.base.onversionchange = () => this.base.close();
      await this.#takeLeft();
      for (const record of await this.#do("readonly", kept => kept.getAll()))
        this.conversations.set(record.id, new Conversation(record));
    } catch (error) {
      this.unkept = `This browser keeps no conversations: ${error.message}`;
    }
  }

  /** Keeps unfinished answers while the page is left. */
  leave() {
    for (const conversation of this.conversations.values()) {
      if (!conversation.running) continue;
      try {
        localStorage.setItem(LEFT + conversation.id, JSON.stringify(conversation.record()));
      } catch {
        // no room or no storage: what was saved a second ago has to do
      }
    }
  }

  async #takeLeft() {
    let left = [];
    try {
      left = Object.entries(localStorage).filter(([name]) => name.startsWith(LEFT));
      for (const [name] of left) localStorage.removeItem(name);
      left = left.map(([, text]) => JSON.parse(text));
    } catch {
      return; // no storage, or damaged: what was saved before is there
    }
    for (const record of left) {
      const kept = await this.#do("readonly", all => all.get(record.id));
      if (kept?.revision <= record.revision) await this.#do("readwrite", all => all.put(record));
    }
  }

  /** Newest first. */
  list() {
    return [...this.conversations.values()].sort((one, other) => other.updated - one.updated);
  }

  /**
   * Keeps a conversation. Had another tab changed it meanwhile, ours goes on as a copy: neither loses a word.
   * @returns {Promise<boolean>} false if it became a copy
   */
  save(conversation) {
    this.conversations.set(conversation.id, conversation);
    conversation.updated = Date.now();
    const done = this.saving.then(() => this.#write(conversation));
    this.saving = done.catch(() => {});
    return done;
  }

  async #write(conversation) {
    if (!this.base || !this.conversations.has(conversation.id)) return true;
    let alone = true;
    const stale = conversation.id;
    try {
      await this.#do("readwrite", kept => {
        const reading = kept.get(conversation.id);
        reading.onsuccess = () => {
          alone = (reading.result?.revision ?? conversation.revision) === conversation.revision;
          if (!alone) {
            const {id} = new Conversation();
            Object.assign(conversation, {id, title: `${conversation.title} (copy)`});
          }
          conversation.revision += 1;
          kept.put(conversation.record());
        };
      });
    } catch (error) {
      this.unkept = `The conversation is not kept: ${error.message}`;
      return true;
    }
    if (!alone) {
      this.conversations.set(conversation.id, conversation);
      this.conversations.set(stale, new Conversation(await this.#do("readonly", kept => kept.get(stale))));
    }
    this.channel?.postMessage(conversation.id);
    return alone;
  }

  async delete(id) {
    this.conversations.delete(id);
    await this.saving;
    await this.#do("readwrite", kept => kept.delete(id));
    this.channel?.postMessage(id);
  }

  /** Runs one transaction; its result is that of the request that `work` returns. */
  #do(mode, work) {
    if (!this.base) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const transaction = this.base.transaction(KEPT, mode);
      const made = work(transaction.objectStore(KEPT));
      transaction.oncomplete = () => resolve(made?.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("the browser gave up"));
    });
  }
}

function request(asked, upgrade) {
  return new Promise((resolve, reject) => {
    asked.onupgradeneeded = () => upgrade(asked);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("another tab holds an older version open"));
  });
}
