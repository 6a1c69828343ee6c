import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

it("checks web-safe code without Node's types, whatever a dependency's types refer to", () => {
  const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  const project = join(root, "nijimi/tsconfig.web.json");
  const listed = execFileSync(process.execPath, [tsc, "-p", project, "--listFilesOnly"], {
    encoding: "utf8",
  });
  expect(listed).toContain("nijimi/src/errors.ts");
  expect(listed.split("\n").filter((path) => path.includes("@types/node"))).toEqual([]);
});
