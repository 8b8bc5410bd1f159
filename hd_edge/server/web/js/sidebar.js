/** The list of conversations; on a phone it slides over the page. */

import {Conversation} from "./conversation.js";
import {byId, download, make} from "./element.js";
import {toast} from "./toast.js";

const NARROW = matchMedia("(max-width: 52rem)");

export class Sidebar {
  /** @param {Object} actions `list()`, `current()`, `system()`, `open(id)`, `begin()`, `save(c)`, `remove(c)`, `restore(c)` */
  constructor(actions) {
    this.actions = actions;
    this.element = byId("sidebar");
    this.menu = byId("menu");
    byId("new").addEventListener("click", () => {
      this.close();
      actions.begin();
    });
    this.menu.addEventListener("click", () => this.#slide(true));
    byId("shade").addEventListener("click", () => this.close());
    this.element.addEventListener("keydown", event => {
      if (event.key === "Escape" && this.isOpen) {
        event.stopPropagation();
        this.close();
        this.menu.focus();
      }
    });
    NARROW.addEventListener("change", () => this.close());
    byId("import").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", ({target}) => this.#import(target));
    this.#prepareDialog();
    this.close();
  }

  get isOpen() {
    return NARROW.matches && this.element.classList.contains("open");
  }

  close() {
    this.#slide(false);
  }

  #slide(open) {
    const over = NARROW.matches && open;
    this.element.classList.toggle("open", over);
    byId("page").inert = over;
    byId("shade").hidden = !over;
    this.menu.setAttribute("aria-expanded", String(over));
    if (over) byId("new").focus();
  }

  show() {
    const current = this.actions.current();
    byId("list").replaceChildren(...this.actions.list().map(conversation => {
      const here = conversation === current;
      return make("li", {class: here ? "here" : ""},
        make("button", {type: "button", class: "chat", "aria-current": here ? "true" : null,
          click: () => { this.close(); this.actions.open(conversation.id); }}, conversation.title || "Untitled"),
        make("button", {type: "button", class: "more", title: "Rename, export, delete",
          "aria-label": `Rename, export or delete “${conversation.title}”`, click: () => this.#manage(conversation)}, "⋯"));
    }));
  }

  #prepareDialog() {
    const dialog = byId("chat-dialog"), close = () => dialog.close();
    byId("chat-form").addEventListener("submit", event => {
      event.preventDefault();
      const title = byId("chat-name").value.trim();
      close();
      if (!title || title === this.managed.title) return;
      this.managed.title = title;
      this.actions.save(this.managed);
    });
    byId("chat-cancel").addEventListener("click", close);
    byId("export-markdown").addEventListener("click", () => {
      close();
      download(`${fileName(this.managed)}.md`, this.managed.markdown(), "text/markdown");
    });
    byId("export-json").addEventListener("click", () => {
      close();
      download(`${fileName(this.managed)}.json`, this.managed.json(this.actions.system()), "application/json");
    });
    byId("delete").addEventListener("click", () => {
      const gone = this.managed;
      close();
      this.actions.remove(gone);
      toast(`“${gone.title}” is deleted.`, () => this.actions.restore(gone));
    });
  }

  #manage(conversation) {
    this.managed = conversation;
    byId("chat-name").value = conversation.title;
    byId("chat-dialog").showModal();
  }

  async #import(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      const found = Conversation.read(await file.text(), file.name);
      found.title ||= file.name;
      this.close();
      await this.actions.restore(found);
    } catch (error) {
      toast(error.message);
    }
  }
}

function fileName({title}) {
  return title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim().slice(0, 60) || "chat";
}
