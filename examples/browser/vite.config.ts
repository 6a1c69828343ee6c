/**
 * Serves and builds the page: `npm run example:browser`. The headers isolate it, which is what WASM's threads need;
 * a page of your own must be served with the same two.
 */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  server: { headers, fs: { allow: ["../.."] } },
  preview: { headers },
  // The engine finds its WASM beside itself; bundled together they would lose each other.
  optimizeDeps: { exclude: ["nijimi", "onnxruntime-web"] },
  worker: { format: "es" },
  // Files of the tiny model must stay files.
  build: { target: "es2023", assetsInlineLimit: 0 },
});
