/** The layers of the library and which of its files are for Node only. */

/** Folders of `nijimi/src` (and `errors.ts`), lowest first: each imports only from itself and those before it. */
export const LAYERS = [
  "errors",
  "internal",
  "tensor",
  "graph",
  "onnx",
  "runtime",
  "nn",
  "models",
  "diffusion",
  "guidance",
  "text",
  "checkpoints",
  "images",
  "data",
  "train",
  "metrics",
  "pipelines",
  "papers",
  "server",
  "cli",
] as const;

/** Folders that run in Node only. */
const NODE_FOLDERS: ReadonlySet<string> = new Set(["server", "cli"]);

/** Packages that exist in Node only; web-safe files may not even import their types. */
export const NODE_PACKAGES: ReadonlySet<string> = new Set([
  "onnxruntime-node",
  "sharp",
  "koffi",
  "citty",
  "@hono/node-server",
]);

/** Packages of the engine, which only `runtime/` imports. */
export const ENGINE_PACKAGES = /^onnxruntime-(node|web|common)$/;

/** Layer of a path below `src`: its folder, or for a file lying in `src` itself its name. */
export function layerOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
}

/** True for tests, which may import from any layer. */
export function isTest(path: string): boolean {
  return /\.test\.ts$|(^|\/)testing\//.test(path);
}

/** True for files below `src` that run in Node only; mirrors what `nijimi/tsconfig.web.json` leaves out. */
export function isNodeOnly(path: string): boolean {
  return (
    path.endsWith(".node.ts") || path.startsWith("runtime/node") || NODE_FOLDERS.has(layerOf(path))
  );
}

/** True for a folder's public seam. */
export function isBarrel(path: string): boolean {
  return /(^|\/)index\.ts$/.test(path);
}
