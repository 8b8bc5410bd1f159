"""Calls a function in a process of its own: call.py MODULE FUNCTION JSON-ARGUMENTS; prints what it returns as JSON."""

import importlib
import json
import sys

module, function, arguments = sys.argv[1:]
print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))))
