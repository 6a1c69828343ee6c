#!/usr/bin/env node
// The nijimi command. In a checkout it first brings dist/ up to date with the sources (and installs
// dependencies that are missing); in an installed package dist/ is there and nothing is ever built.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const workspace = new URL("../../", import.meta.url);
const isCheckout =
  existsSync(new URL("../tsconfig.build.json", import.meta.url)) &&
  existsSync(new URL("scripts/fresh-clone/build.js", workspace));

try {
  if (isCheckout) {
    const { buildIfStale } = await import(new URL("scripts/fresh-clone/build.js", workspace).href);
    const say = (/** @type {string} */ line) => console.error(line);
    buildIfStale(fileURLToPath(workspace), say);
  }
  const { main } = await import(new URL("../dist/cli/main.js", import.meta.url).href);
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
