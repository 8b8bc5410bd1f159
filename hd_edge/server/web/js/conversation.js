/** A conversation: turns of a question and an answer, as they are kept in the browser. */

const TITLE = 60; // characters

/** What is known of an answer: its text, thoughts, the tiers its parts were drafted from, counts, and how it ended. */
export const freshAnswer = () => ({text: "", thoughts: "", runs: [], thoughtRuns: [], counts: null, end: "", note: "", dropped: 0});

export class Conversation {
  constructor(record = {}) {
    this.id = record.id ?? newId();
    this.title = record.title ?? "";
    this.updated = record.updated ?? Date.now();
    this.revision = record.revision ?? 0; // of what is kept; two tabs could write
    this.turns = record.turns ?? [];
    this.dropped = record.dropped ?? 0; // oldest turns that the model is no longer given
  }

  /** What is kept. */
  record() {
    const {id, title, updated, revision, turns, dropped} = this;
    return {id, title, updated, revision, turns, dropped};
  }

  /** Becomes what another tab has kept. */
  become(record) {
    Object.assign(this, new Conversation(record));
  }

  get last() {
    return this.turns.at(-1);
  }

  /** A new question after the first `index` turns; later ones are forgotten. */
  ask(question, index = this.turns.length) {
    this.cut(index);
    this.title ||= titleOf(question);
    this.turns.push({question, answer: freshAnswer()});
    return this.last;
  }

  /** A new answer to the question of this turn; later turns are forgotten. */
  again(index) {
    this.cut(index + 1);
    this.last.answer = freshAnswer();
    return this.last;
  }

  cut(length) {
    this.turns = this.turns.slice(0, length);
    if (this.dropped >= length) this.dropped = 0; // there may be room again
  }

  /** What the model is given; questions without an answer are left out, for templates want turns. */
  messages(system, dropped = this.dropped) {
    const said = this.turns.slice(dropped, -1).filter(turn => turn.answer.text)
      .flatMap(({question, answer}) => [{role: "user", content: question}, {role: "assistant", content: answer.text}]);
    const first = system ? [{role: "system", content: system}] : [];
    return [...first, ...said, {role: "user", content: this.last.question}];
  }

  /** As `hd-edge chat` saves it and loads it. */
  json(system) {
    const messages = this.turns.flatMap(({question, answer}) => [
      {role: "user", content: question}, ...(answer.text ? [{role: "assistant", content: answer.text}] : [])]);
    return JSON.stringify({title: this.title, system, messages}, null, 1) + "\n";
  }

  /** For people. */
  markdown() {
    const turns = this.turns.map(({question, answer}) => `**You**\n\n${question}\n\n**Model**\n\n${answer.text || "(no answer)"}\n`);
    return `# ${this.title}\n\n${turns.join("\n")}`;
  }

  /**
   * A conversation from a file that `json` or `hd-edge chat` wrote.
   * @throws {Error} it is none
   */
  static read(text, name) {
    let document;
    try {
      document = JSON.parse(text);
    } catch {
      throw new Error(`${name} is no JSON.`);
    }
    const messages = document?.messages;
    if (!Array.isArray(messages) || messages.some(one => typeof one?.content !== "string" || typeof one.role !== "string"))
      throw new Error(`${name} is no chat: it has no list of messages with role and content.`);
    const found = new Conversation({title: typeof document.title === "string" ? document.title.slice(0, 200) : ""});
    for (const {role, content} of messages) {
      if (role === "user") found.ask(content);
      else if (role === "assistant" && found.last) found.last.answer.text += content;
    }
    if (!found.turns.length) throw new Error(`${name} has no question in it.`);
    return found;
  }
}

function titleOf(question) {
  const line = question.trim().split("\n", 1)[0];
  return line.length > TITLE ? line.slice(0, TITLE - 1).trimEnd() + "…" : line;
}

/** crypto.randomUUID is missing where the page comes by plain HTTP from another machine. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(16).padStart(2, "0")).join("");
}
