/** `npm start`: installs and builds what is missing, then runs the main job of the checkout. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../nijimi/bin/nijimi.js", import.meta.url));
const given = process.argv.slice(2);
const { status } = spawnSync(process.execPath, [bin, ...(given.length > 0 ? given : ["devices"])], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
