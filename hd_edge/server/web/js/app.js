/** The page: puts its parts together. */

import {Client, ServerError} from "./client.js";
import {Conversation} from "./conversation.js";
import {byId, say} from "./element.js";
import {Reply} from "./reply.js";
import {FIELDS, Settings} from "./settings.js";
import {SettingsDialog} from "./settings_dialog.js";
import {Shelf} from "./shelf.js";
import {Sidebar} from "./sidebar.js";
import {Talk} from "./talk.js";
import {toast} from "./toast.js";
import {Window} from "./window.js";

const SAVED = 1000; // milliseconds between saves of an answer on its way
const SPOKEN = 2000; // characters of an answer that are read out at once

class App {
  constructor() {
    this.settings = new Settings(() => this.#settingsChanged());
    this.client = new Client(this.settings);
    this.window = new Window(this.client);
    this.dialog = new SettingsDialog(this.settings);
    this.shelf = new Shelf(id => this.#changedElsewhere(id));
    this.talk = new Talk({
      send: (question, index) => this.#ask(question, index),
      again: index => this.#again(index),
      stop: () => this.current.running?.stop(),
      drafts: () => this.settings.values.show,
      size: () => this.window.size,
    });
    this.sidebar = new Sidebar({
      list: () => this.shelf.list(),
      current: () => this.current,
      system: () => this.settings.system,
      open: id => this.#open(this.shelf.conversations.get(id)),
      begin: () => this.#open(new Conversation()),
      save: conversation => this.#keep(conversation),
      remove: conversation => this.#remove(conversation),
      restore: conversation => this.#restore(conversation),
    });
    byId("settings").addEventListener("click", () => this.dialog.open());
    byId("show").addEventListener("change", ({target}) => this.settings.take({show: target.checked}));
    addEventListener("hashchange", () => this.#openAddressed());
    addEventListener("pagehide", () => this.shelf.leave());
    this.current = new Conversation();
  }

  async start() {
    await this.shelf.open();
    this.#openAddressed();
    this.#settingsChanged();
  }

  #openAddressed() {
    const id = location.hash.slice(1);
    if (id !== this.current.id || !this.shelf.conversations.has(id)) this.#open(this.shelf.conversations.get(id) ?? new Conversation());
  }

  #open(conversation) {
    this.current = conversation;
    const kept = this.shelf.conversations.has(conversation.id);
    history.replaceState(null, "", kept ? `#${conversation.id}` : location.pathname + location.search);
    this.talk.open(conversation);
    this.#showList();
    focusMessage();
  }

  #showList() {
    this.sidebar.show();
    byId("unkept").textContent = this.shelf.unkept;
    byId("unkept").hidden = !this.shelf.unkept;
    const title = this.current.title || "New chat";
    byId("title").textContent = title;
    document.title = `${title} · hd_edge`;
  }

  async #keep(conversation) {
    const alone = await this.shelf.save(conversation);
    if (this.shelf.unkept && !this.told) {
      this.told = true;
      toast(this.shelf.unkept);
    }
    if (!alone) toast("Another tab went on with this chat: this one is now a copy.");
    if (conversation === this.current) history.replaceState(null, "", `#${conversation.id}`);
    this.#showList();
  }

  #ask(question, index) {
    this.#replace("The message is changed; what came after it is gone.", index, () => this.current.ask(question, index));
  }

  #again(index) {
    this.#replace("A new answer replaces the old one.", index, () => this.current.again(index));
  }

  /** Changes the conversation, answers its last question, and can take that back where something was lost. */
  #replace(text, index, change) {
    const conversation = this.current, {turns, dropped} = conversation;
    const before = turns.map(turn => ({...turn}));
    change();
    if (index !== undefined && before[index]?.answer.text) {
      toast(text, async () => {
        conversation.running?.stop();
        await conversation.answering;
        Object.assign(conversation, {turns: before, dropped});
        await this.#keep(conversation);
        if (conversation === this.current) this.talk.open(conversation);
      });
    }
    conversation.answering = this.#answer(conversation);
  }

  async #answer(conversation) {
    let saving = 0;
    const reply = new Reply(conversation, this, () => {
      if (conversation === this.current) this.talk.changed();
      saving ||= setTimeout(() => {
        saving = 0;
        this.shelf.save(conversation);
      }, SAVED);
    });
    const running = reply.run();
    if (conversation === this.current) {
      this.talk.open(conversation, {end: true});
      focusMessage();
    }
    this.#keep(conversation);
    say("The model answers.");
    await running;
    this.#showModel();
    clearTimeout(saving);
    say(`${reply.answer.text.slice(0, SPOKEN)} ${reply.answer.note}`);
    await this.#keep(conversation);
    if (conversation === this.current) this.talk.open(conversation, {same: true});
    this.#helpWith(reply.error);
  }

  /** Opens the settings where they were what the server refused. */
  #helpWith(error) {
    if (!(error instanceof ServerError)) return;
    if (error.status === 401)
      this.dialog.open({key: this.settings.key ? "The server refuses this key." : "The server asks for a key."});
    else if (FIELDS.includes(error.param)) this.dialog.open({[error.param]: error.message});
  }

  #remove(conversation) {
    conversation.running?.stop();
    this.shelf.delete(conversation.id);
    if (conversation === this.current) this.#open(new Conversation());
    else this.#showList();
  }

  async #restore(conversation) {
    conversation.revision = 0;
    await this.shelf.save(conversation);
    this.#open(conversation);
  }

  #changedElsewhere(id) {
    if (id === this.current.id && !this.current.running) {
      const kept = this.shelf.conversations.get(id);
      if (kept && kept !== this.current) this.current = kept;
      if (kept) this.talk.open(this.current, {same: true});
      else this.#open(new Conversation());
    }
    this.#showList();
  }

  #settingsChanged() {
    const {theme, show} = this.settings.values;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    byId("show").checked = show;
    byId("legend").hidden = !show;
    byId("turns").classList.toggle("drafts", show);
    this.talk.changed(true);
    this.#showModel();
  }

  async #showModel() {
    let problem = "";
    try {
      await this.window.learn();
    } catch (error) {
      problem = error.status === 401 ? "needs a key" : "no server";
    }
    byId("model").textContent = problem || this.window.name;
    byId("model").classList.toggle("wrong", Boolean(problem));
  }
}

/** Not on a phone, where the keyboard would cover the page. */
function focusMessage() {
  if (matchMedia("(pointer: fine)").matches) byId("text").focus();
}

await new App().start();
