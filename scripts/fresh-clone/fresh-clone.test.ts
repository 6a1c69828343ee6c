/** The committed bin in a checkout without a build, and in an installed package. */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isInstalled } from "./install.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
let clone = "";

/** A checkout with a program of two files in place of the library's sources. */
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), "nijimi-clone-"));
  const files = [
    "package.json",
    "package-lock.json",
    "tsconfig.base.json",
    "scripts/fresh-clone",
    "nijimi/bin",
  ];
  for (const path of [...files, "nijimi/tsconfig.build.json", "nijimi/package.json"])
    cpSync(join(root, path), join(clone, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"), "dir");
  mkdirSync(join(clone, "nijimi/src/cli"), { recursive: true });
  write("greeting.ts", 'export const greeting: string = "hello";');
  write(
    "cli/main.ts",
    'import { greeting } from "../greeting.ts";\nexport async function main() { console.log(greeting, ...process.argv.slice(2)); }',
  );
});
afterEach(() => rmSync(clone, { recursive: true }));

function write(path: string, source: string): void {
  writeFileSync(join(clone, "nijimi/src", path), source);
}

/** Runs the bin of the clone. */
function nijimi(
  ...line: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(clone, "nijimi/bin/nijimi.js"), ...line]);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

it("builds when there is no build, not when it is up to date, and again after a change", async () => {
  const first = await nijimi("world");
  expect(first).toMatchObject({ code: 0, stdout: "hello world\n" });
  expect(first.stderr).toMatch(/^Building nijimi …\nBuilt in [\d.]+ s\.\n$/);
  expect(await nijimi()).toEqual({ code: 0, stdout: "hello\n", stderr: "" });

  write("greeting.ts", 'export const greeting: string = "good evening";');
  expect(await nijimi()).toMatchObject({
    code: 0,
    stdout: "good evening\n",
    stderr: expect.stringContaining("Building"),
  });
});

it("forgets the output of sources that are gone", async () => {
  write("extra.ts", "export const extra = 1;");
  await nijimi();
  expect(existsSync(join(clone, "nijimi/dist/extra.js"))).toBe(true);
  rmSync(join(clone, "nijimi/src/extra.ts"));
  await nijimi();
  expect(existsSync(join(clone, "nijimi/dist/extra.js"))).toBe(false);
});

it("shows the compiler's messages and keeps the old build when the sources are wrong", async () => {
  await nijimi();
  write("greeting.ts", "export const greeting: string = 1;");
  const { code, stderr } = await nijimi();
  expect(code).toBe(1);
  expect(stderr).toContain("error TS2322");
  expect(existsSync(join(clone, "nijimi/dist/greeting.js"))).toBe(true);
});

it("builds once for processes that start together", async () => {
  const runs = await Promise.all([nijimi(), nijimi(), nijimi()]);
  expect(runs.map(({ stdout }) => stdout)).toEqual(["hello\n", "hello\n", "hello\n"]);
  expect(runs.filter(({ stderr }) => stderr.includes("Built in"))).toHaveLength(1);
});

it("never builds in an installed package", async () => {
  await nijimi();
  rmSync(join(clone, "nijimi/tsconfig.build.json"));
  write("greeting.ts", 'export const greeting: string = "changed";');
  expect(await nijimi()).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
});

it("knows when dependencies are missing or other than the lock file says", () => {
  expect(isInstalled(clone)).toBe(true);
  const lock = { packages: { "node_modules/zod": { version: "0.0.1" } } };
  writeFileSync(join(clone, "package-lock.json"), JSON.stringify(lock));
  expect(isInstalled(clone)).toBe(false);
  rmSync(join(clone, "node_modules"));
  expect(isInstalled(clone)).toBe(false);
});
