"""Other programs' doors: the plugin for ``llm``, the draft model for ``llama_cpp.Llama``.

May import every room below the tools; imported by nothing.
"""
