/** `npm run test:browser [filter …]`: the browser tests, after installing a browser where there is none. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ensureBrowser } from "./browser/find-browser.ts";
import { PROGRAMS } from "./stages/quick.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const browser = ensureBrowser((line) => console.error(line));
const { status } = spawnSync(
  PROGRAMS.node,
  [PROGRAMS.vitest, "run", "--config", "vitest.browser.config.ts", ...process.argv.slice(2)],
  { stdio: "inherit", env: { ...process.env, NIJIMI_BROWSER: browser } },
);
process.exitCode = status ?? 1;
