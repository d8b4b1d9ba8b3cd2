import importlib.metadata
import json
import platform
import sys


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


found = {name: version(name) for name in json.load(sys.stdin)["packages"]}
found = {name: version for name, version in found.items() if version}
print(json.dumps({"python": platform.python_version(), "packages": found}))
