import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { COMMANDS } from "./commands.ts";
import { EXIT_CODES } from "./exit-codes.ts";

const guide = readFileSync(new URL("../../../docs/guide/command-line.md", import.meta.url), "utf8");

it("are what the guide says", () => {
  const rows = [...guide.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  expect(Object.fromEntries(rows)).toEqual(EXIT_CODES);
});

it("come with a line in the guide for every command", () => {
  const named = [...guide.matchAll(/^\| `nijimi (\S+)/gm)].map(([, name]) => name);
  expect(named.map((name) => name.replace("`", "")).sort()).toEqual(Object.keys(COMMANDS).sort());
});
