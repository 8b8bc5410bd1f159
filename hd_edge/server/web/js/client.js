/** The server's API, as this page needs it. */

/** What the server refused: its message, and the field it is about. */
export class ServerError extends Error {
  constructor(message, {status = 0, code = null, param = null} = {}) {
    super(message);
    Object.assign(this, {status, code, param});
  }
}

/** The server cannot be reached, or the connection broke. */
export class LostError extends Error {}

export class Client {
  /** @param {Settings} settings whose key is sent */
  constructor(settings) {
    this.settings = settings;
  }

  /** Name of the model and size of its context window. */
  async model() {
    const {data} = await (await this.#fetch("v1/models")).json();
    return {name: data[0]?.id ?? "", size: data[0]?.meta?.n_ctx ?? 0};
  }

  /** How many tokens a text has. */
  async count(input) {
    return (await (await this.#fetch("extras/tokenize/count", {input})).json()).count;
  }

  /** The chunks of an answer; the server stops when the signal aborts. */
  async *chat(body, signal) {
    const response = await this.#fetch("v1/chat/completions", {...body, stream: true}, signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      for (let rest = ""; ;) {
        const {value, done} = await lost(reader.read());
        if (done) throw new LostError("The answer was cut off: the connection ended before it did.");
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          if (event === "data: [DONE]") return;
          if (!event.startsWith("data: ")) continue;
          const chunk = JSON.parse(event.slice(6));
          if (chunk.error) throw new ServerError(chunk.error.message, chunk.error);
          yield chunk;
        }
      }
    } finally {
      reader.cancel().catch(() => {}); // it may have ended already
    }
  }

  async #fetch(path, body, signal) {
    const headers = {};
    if (this.settings.key) headers.Authorization = `Bearer ${this.settings.key}`;
    if (body) headers["Content-Type"] = "application/json";
    const response = await lost(fetch(path, {method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal}));
    if (response.ok) return response;
    const {error} = await response.json().catch(() => ({}));
    throw new ServerError(error?.message ?? `${response.status} ${response.statusText}`, {...error, status: response.status});
  }
}

/** Browsers throw a TypeError of their own words where there is no connection. */
async function lost(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new LostError("The server cannot be reached: it has ended, or the connection broke.");
  }
}
