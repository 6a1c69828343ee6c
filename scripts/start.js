/**
 * `npm start`: installs what is missing, then runs the main job of the checkout: a picture from words by the model that
 * comes along, or, in a checkout without it, a diffusion model that is trained and drawn from in a few seconds. It
 * runs the sources, so there is nothing to build.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installIfStale } from "./fresh-clone/install.js";

const root = fileURLToPath(new URL("..", import.meta.url));
installIfStale(root, (line) => console.error(line));
const hasModel = existsSync(join(root, "nijimi/models/emoji/model_index.json"));
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules/tsx/dist/cli.mjs"),
    "--conditions=@nijimi/source",
    join(root, "examples", hasModel ? "picture.ts" : "spiral.ts"),
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: "inherit" },
);
process.exitCode = status ?? 1;
