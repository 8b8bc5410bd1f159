#!/usr/bin/env python3
"""A chat in the terminal with hd_edge.Llama; tokens that were drafted are underlined. chat.py model.gguf"""

import sys

from hd_edge import ContextFullError, Llama


def main() -> None:
    llm = Llama(sys.argv[1], n_ctx=4096)
    messages: list[dict[str, str]] = []
    try:
        while True:
            messages.append({"role": "user", "content": input("> ")})
            said = ""
            try:
                for chunk in llm.create_chat_completion(messages, stream=True):
                    piece = chunk["choices"][0]["delta"].get("content") or ""
                    said += piece
                    drafted = llm.tier != "target" and sys.stdout.isatty()
                    print(f"\x1b[4m{piece}\x1b[0m" if drafted else piece, end="", flush=True)
            except KeyboardInterrupt:
                pass  # the answer so far stays in the conversation
            except ContextFullError:
                messages = messages[2:-1]  # forget the oldest turn
                print("the context is full: ask again")
                continue
            messages.append({"role": "assistant", "content": said})
            print(f"\n[{llm.stats.summary()}]", file=sys.stderr)
    except EOFError:
        llm.close()  # writes what was learned


if __name__ == "__main__":
    main()
