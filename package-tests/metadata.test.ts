/** The tarball's package.json, types and content. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { describe, expect, inject, it } from "vitest";
import { run } from "./run.ts";

const tarball = inject("tarball");

describe("the packed tarball", () => {
  it("is clean by publint", async () => {
    const bytes = readFileSync(tarball);
    const { messages, pkg } = await publint({
      pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) },
    });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it("has types that resolve for ESM users and bundlers (attw)", async () => {
    const cli = join(
      dirname(createRequire(import.meta.url).resolve("@arethetypeswrong/cli/package.json")),
      "dist/index.js",
    );
    const args = [
      cli,
      tarball,
      "--profile",
      "esm-only",
      "--format",
      "json",
      "--no-definitely-typed",
    ];
    const { code, stdout } = await run(process.execPath, args, ".", { mayFail: true });
    expect({ code, problems: code === 0 ? "" : stdout }).toEqual({ code: 0, problems: "" });
  });

  it("holds the build, its sources and no tests", async () => {
    const { stdout } = await run("tar", ["-tzf", tarball], ".");
    const files = stdout.trim().split("\n");
    for (const path of [
      "package.json",
      "README.md",
      "LICENSE",
      "bin/nijimi.js",
      "dist/index.js",
      "src/index.ts",
    ])
      expect(files).toContain(`package/${path}`);
    expect(files.filter((path) => /\.test\.|tsconfig|\.built/.test(path))).toEqual([]);
  });
});
