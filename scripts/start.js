/**
 * `npm start`: installs what is missing, then runs the main job of the checkout: a diffusion model that is
 * trained and drawn from in a few seconds. It runs the sources, so there is nothing to build.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installIfStale } from "./fresh-clone/install.js";

const root = fileURLToPath(new URL("..", import.meta.url));
installIfStale(root, (line) => console.error(line));
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules/tsx/dist/cli.mjs"),
    "--conditions=@nijimi/source",
    join(root, "examples/spiral.ts"),
  ],
  { cwd: root, stdio: "inherit" },
);
process.exitCode = status ?? 1;
