// Runs pytest on CPython as WebAssembly: node .ci/wasm.mjs CHECKOUT FOLDER [ARGUMENT OF PYTEST ...]
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [checkout, folder, ...words] = process.argv.slice(2);
const pyodide = pathToFileURL(join(folder, "node_modules", "pyodide", "pyodide.mjs"));
const { loadPyodide } = await import(pyodide);
const python = await loadPyodide();
for (const name of readdirSync(join(folder, "wheels"))) {
  const wheel = new Uint8Array(readFileSync(join(folder, "wheels", name)));
  python.unpackArchive(wheel, "wheel", { extractDir: "/wheels" });
}
python.FS.mkdir("/checkout");
python.FS.mount(python.FS.filesystems.NODEFS, { root: checkout }, "/checkout");
python.globals.set("words", python.toPy(words));
try {
  process.exitCode = python.runPython(`
import os
import sys

os.chdir("/checkout")
sys.path[:0] = ["/checkout", "/wheels"]
sys.dont_write_bytecode = True
import pytest

print(sys.version)
# No processes there, so no workers; and what it caches is of no use to others.
int(pytest.main(["-q", "-o", "addopts=", "-p", "no:cacheprovider", *words]))
`);
} catch (error) {
  // Without this, Node.js also prints a megabyte of code.
  console.error(String(error));
  process.exitCode = 2;
}
