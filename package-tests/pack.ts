/** Builds and packs nijimi once for all tests of what ships. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { buildIfStale } from "../scripts/fresh-clone/build.js";
import { run } from "./run.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Path of the packed tarball. */
    tarball: string;
  }
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs before all tests; what it returns runs after them. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "nijimi-pack-"));
  buildIfStale(root, (line) => project.vitest.logger.log(line));
  const { stdout } = await run(
    "npm",
    ["pack", "--json", "--pack-destination", folder],
    join(root, "nijimi"),
  );
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  project.provide("tarball", join(folder, filename));
  return () => rmSync(folder, { recursive: true });
}
