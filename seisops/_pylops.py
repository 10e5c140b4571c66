"""PyLops, of which `import seisops` loads the base class of operators and no more.

Importing PyLops imports whatever it can work with where that is installed: torch, JAX, and for Devito its examples,
with Matplotlib and pytest. That takes several times as long as everything that seisops needs. The base class lives in
a module that needs the rest of PyLops only inside its methods, so this module runs it ahead of its package, with those
imports put off. When the package is imported, by whoever it is, it receives the module that ran ahead, completed: there
is one `pylops.LinearOperator`, and nothing in PyLops differs from an import without seisops.
"""

from __future__ import annotations

import ast
import sys
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec, resolve_name, spec_from_loader
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pylops
    from pylops import linearoperator

__all__ = ["linearoperator", "pylops"]

#: The modules that run ahead, each after those it needs at once.
AHEAD = ("pylops.config", "pylops.utils.decorators", "pylops.linearoperator")


class _Later:
    """A function or module from the rest of PyLops, which is imported when this is called or has an attribute read."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__call__, name)

    def __reduce__(self) -> tuple:
        return _Later, (self._module, self._name)

    @property
    def __call__(self) -> Any:
        return getattr(import_module(self._module), self._name)


class _Ahead(MetaPathFinder, Loader):
    """Modules of PyLops run ahead of their package, which receives them when it imports them."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._lock = Lock()
        self._package = _spec("pylops")
        self._asked = self._ready = False  # whether somebody began to import the package; whether all modules ran
        self._specs: dict[str, ModuleSpec] = {}
        self._put_off: dict[str, list[ast.stmt]] = {}

    def run(self, name: str) -> None:
        """Run the module `name`, except for what it imports from the rest of PyLops."""
        spec = _spec(name, self._package)
        module = module_from_spec(spec)
        body: list[ast.stmt] = []
        put_off: list[ast.stmt] = []
        for statement in ast.parse(spec.loader.get_source(name)).body:
            source = _source(statement, name)
            (put_off if source else body).append(statement)
            for alias in getattr(statement, "names", ()) if source else ():
                vars(module)[alias.asname or alias.name] = self._known(source, alias.name)
        _execute(body, module)
        self.modules[name], self._specs[name], self._put_off[name] = module, spec, put_off

    def _known(self, source: str, name: str) -> Any:
        """The object `name` that PyLops keeps in `source`, if it is here already."""
        for module in self.modules.values():
            if source in (module.__name__, "pylops") and name in module.__all__:
                return getattr(module, name)
        return _Later(source, name)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Offer the module `name` to its package."""
        if name == "pylops":  # others find it; its modules are to be asked for one by one
            with self._lock:
                self._asked = True
                for ahead in self.modules if self._ready else ():
                    sys.modules.pop(ahead, None)
        return spec_from_loader(name, self) if self._ready and name in self.modules else None

    def get_ready(self) -> bool:
        """Begin to offer the modules, unless somebody began to import the package, which then has modules of its own.

        Until then they are among the loaded modules: what is pickled by its name is looked up there.
        """
        with self._lock:
            if not (self._asked or "pylops" in sys.modules):
                self._ready = True
                sys.modules.update(self.modules)
        return self._ready

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that ran ahead."""
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Complete a module by the imports that were put off."""
        name = module.__name__
        module.__spec__ = self._specs[name]
        _execute(self._put_off[name], module)
        del self.modules[name]
        if not self.modules:
            self.withdraw()

    def withdraw(self) -> None:
        """Offer nothing any more."""
        with suppress(ValueError):
            sys.meta_path.remove(self)


class _PyLops(ModuleType):
    """The names of PyLops: those of what ran ahead at once, all others by importing it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("pylops"), name)


def _spec(name: str, package: ModuleSpec | None = None) -> Any:
    """Find a module as importing it would, but without importing the packages that it is in."""
    parent = name.rpartition(".")[0]
    if not parent:
        return package or find_spec(name)
    return PathFinder.find_spec(name, _spec(parent, package).submodule_search_locations)


def _source(statement: ast.stmt, name: str) -> str:
    """The module of PyLops from which a statement of the module `name` imports; empty for every other statement."""
    if not isinstance(statement, ast.ImportFrom):
        return ""
    source = resolve_name("." * statement.level + (statement.module or ""), name.rpartition(".")[0])
    return source if source.partition(".")[0] == "pylops" else ""


def _execute(body: list[ast.stmt], module: Any) -> None:
    exec(compile(ast.Module(body, type_ignores=[]), module.__file__, "exec", dont_inherit=True), vars(module))


def _load() -> tuple[ModuleType, ModuleType]:
    """Return PyLops and its `linearoperator`, as they are where somebody has imported them already."""
    if "pylops" not in sys.modules:
        ahead = _Ahead()
        # Before the modules run, which takes a while: it is seen when another thread begins to import PyLops, or a module
        # that runs ahead needs it. Then the modules made there are the ones to use.
        sys.meta_path.insert(0, ahead)
        try:
            for name in AHEAD:
                ahead.run(name)
        except (AttributeError, ImportError, NameError, SyntaxError, TypeError):
            pass  # a PyLops made in another way (or none at all, which the import below says)
        else:
            if ahead.get_ready():
                package = _PyLops("pylops")
                for module in ahead.modules.values():
                    vars(package).update({name: getattr(module, name) for name in module.__all__})
                return package, ahead.modules["pylops.linearoperator"]
        ahead.withdraw()
    return import_module("pylops"), import_module("pylops.linearoperator")


if not TYPE_CHECKING:
    pylops, linearoperator = _load()
