/** The tarball installed into an empty folder, with and without its optional dependencies. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { run } from "./run.ts";

const consumer = fileURLToPath(new URL("consumer", import.meta.url));

interface Seen {
  readonly devices: readonly string[];
  readonly values: readonly number[];
  readonly shapes: readonly (readonly number[])[];
  readonly refused: { readonly code: string; readonly message: string };
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/** Registers an installation for the tests of a `describe` block and gives its folder when they run. */
function install(extra: readonly string[]): () => string {
  let folder = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nijimi-install-"));
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
    cpSync(consumer, folder, { recursive: true });
    // Scripts of dependencies are not run: onnxruntime-node's would download CUDA from outside the registry.
    const args = [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
      ...extra,
    ];
    await run("npm", [...args, inject("tarball")], folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return () => folder;
}

async function compileIn(folder: string): Promise<Seen> {
  const { stdout } = await run(process.execPath, ["compile.js"], folder);
  return JSON.parse(stdout) as Seen;
}

const EXPECTED = {
  values: [4, 5, 10, 11, 16, 17],
  shapes: [
    [2, 2],
    [1, 2],
  ],
};

describe("installed with optional dependencies", () => {
  const folder = install([]);

  it("compiles on the native engine, without a warning", async () => {
    const seen = await compileIn(folder());
    expect(seen).toMatchObject({ ...EXPECTED, warnings: [] });
    expect(seen.devices[0]).toBe("cpu");
    expect(seen.refused.code).toBe("device");
    for (const device of seen.devices) expect(seen.refused.message).toContain(device);
  });

  it("runs the first program of its README", async () => {
    const readme = readFileSync(join(folder(), "node_modules/nijimi/README.md"), "utf8");
    const [, program] = /```ts\n(.*?)```/s.exec(readme) ?? [];
    writeFileSync(join(folder(), "readme.js"), `${program}\nconsole.log([...y.data].join());\n`);
    const { stdout } = await run(process.execPath, ["readme.js"], folder());
    expect(stdout).toBe("2,4,6\n");
  });

  it("draws with the model that comes along, where it does, or says that it does not", async () => {
    const bin = join(folder(), "node_modules/.bin/nijimi");
    const picture = join(folder(), "apple.png");
    const args = ["generate", "red apple", "--steps", "2", "--output", picture];
    const { code, stderr } = await run(bin, args, folder(), { mayFail: true });
    if (existsSync(join(folder(), "node_modules/nijimi/models/emoji/model_index.json"))) {
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(readFileSync(picture).subarray(1, 4).toString()).toBe("PNG");
    } else expect(stderr).toContain("Name a checkpoint with --model");
  });

  it("has the command, which builds nothing and says its version", async () => {
    const bin = join(folder(), "node_modules/.bin/nijimi");
    const { stdout, stderr } = await run(bin, ["version", "--json"], folder());
    expect(JSON.parse(stdout)).toMatchObject({ nijimi: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(stderr).toBe("");
    const { code, stderr: complaint } = await run(bin, ["no-such-command"], folder(), {
      mayFail: true,
    });
    expect({ code, complaint }).toMatchObject({
      code: 2,
      complaint: expect.stringContaining("Accepted:"),
    });
  });
});

describe("installed without optional dependencies", () => {
  const folder = install(["--omit=optional"]);

  it("has no native engine", () => {
    expect(existsSync(join(folder(), "node_modules/onnxruntime-node"))).toBe(false);
    expect(existsSync(join(folder(), "node_modules/onnxruntime-web"))).toBe(true);
  });

  it("compiles on WASM, says so once, and names the command that adds the native engine", async () => {
    const seen = await compileIn(folder());
    expect(seen).toMatchObject({ ...EXPECTED, devices: ["wasm"] });
    expect(seen.warnings).toHaveLength(1);
    expect(seen.warnings[0].message).toContain("npm install onnxruntime-node");
    expect(seen.refused).toMatchObject({
      code: "device",
      message: expect.stringContaining("wasm"),
    });
  });
});
