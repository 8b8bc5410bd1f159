"""Other programs' doors: the plugin for ``llm``, the draft model for ``llama_cpp.Llama``. Imported by nothing."""
