/** What a web page that imports nijimi has to load. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { isNodeOnly, LAYERS } from "../scripts/imports/layers.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Bundles a module for browsers, from `dist` as users get it, without ONNX Runtime. */
async function bundle(source: string): Promise<{ text: string; gzipped: number }> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: root },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    platform: "browser",
    conditions: ["browser", "import"],
    external: ["onnxruntime-*"],
    logLevel: "silent",
  });
  const [{ text, contents }] = outputFiles;
  return { text, gzipped: gzipSync(contents, { level: 9 }).length };
}

/** Folders of the library with a public seam that browsers may import. */
const webFolders = LAYERS.filter(
  (layer) =>
    !isNodeOnly(`${layer}/index.ts`) && existsSync(join(root, "nijimi/dist", layer, "index.js")),
);

/** Gzipped bytes that must suffice, by what is imported. */
const CEILINGS = {
  'export * from "nijimi"; export * from "nijimi/runtime"; export * from "nijimi/graph"; export * from "nijimi/onnx"; export * from "nijimi/nn";': 60_000,
  'export { compile } from "nijimi/runtime";': 45_000,
  'export { float32 } from "nijimi/tensor";': 2_000,
  // A page whose worker makes the pictures, and the worker with both vocabularies (the half of it, loaded on demand).
  'export { connectPipelines } from "nijimi/pipelines";': 3_000,
  'export * from "nijimi/pipelines";': 450_000,
} as const;

describe("bundles for browsers", () => {
  it.each(Object.entries(CEILINGS))("%s stays below %d gzipped bytes", async (source, ceiling) => {
    const present = source
      .split("; ")
      .filter(
        (line) => folderOf(line) === "" || webFolders.some((folder) => folder === folderOf(line)),
      );
    const { gzipped } = await bundle(present.join("; "));
    console.log(`${gzipped} bytes gzipped: ${source}`);
    expect(gzipped).toBeLessThanOrEqual(ceiling);
  });

  it.each(webFolders)("nijimi/%s has nothing of Node in it", async (folder) => {
    const { text } = await bundle(`export * from "nijimi/${folder}";`);
    expect(text).not.toMatch(/\bnode:/);
    expect(text).not.toContain("onnxruntime-node");
  });

  it("cover every folder that is built and not for Node only", () => {
    const built = readdirSync(join(root, "nijimi/dist"), { withFileTypes: true })
      .filter(
        (entry) =>
          entry.isDirectory() && existsSync(join(root, "nijimi/dist", entry.name, "index.js")),
      )
      .map(({ name }) => name);
    expect(built.filter((name) => !isNodeOnly(`${name}/index.ts`)).sort()).toEqual(
      [...webFolders].sort(),
    );
  });
});

function folderOf(line: string): string {
  return /"nijimi\/?(.*?)"/.exec(line)?.[1] ?? "";
}
