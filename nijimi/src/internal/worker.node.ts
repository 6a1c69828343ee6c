/** Starting a worker thread from a module of this package, built or in source form. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker, type WorkerOptions } from "node:worker_threads";

/**
 * A thread that runs a module of this package.
 *
 * @param module the module beside the caller, without extension: `"./loader-worker.node"`
 * @param caller the caller's `import.meta.url`
 */
export function startWorker(module: string, caller: string, options: WorkerOptions = {}): Worker {
  const isSource = caller.endsWith(".ts");
  const url = new URL(`${module}${isSource ? ".ts" : ".js"}`, caller);
  return isSource ? startSource(url, options) : new Worker(url, options);
}

/** In a checkout the sources run through tsx, which a thread has to register for itself. */
function startSource(url: URL, options: WorkerOptions): Worker {
  const tsx = new URL(
    "./dist/esm/api/index.mjs",
    pathToFileURL(createRequire(url).resolve("tsx/package.json")),
  ).href;
  const script = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(url.href)}); });`;
  const execArgv = ["--conditions=@nijimi/source"];
  return new Worker(script, { ...options, eval: true, execArgv });
}
