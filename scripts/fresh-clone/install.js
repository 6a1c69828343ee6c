/**
 * Dependencies of a checkout: `npm ci` when they are missing or not those of `package-lock.json`.
 * Plain JavaScript without dependencies, because it runs before there are any.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} root folder of the workspace
 * @param {(line: string) => void} say where progress goes
 */
export function installIfStale(root, say) {
  if (isInstalled(root)) return;
  say("Installing dependencies (npm ci) …");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const { status, error } = spawnSync(npm, ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", process.stderr, process.stderr],
    shell: process.platform === "win32",
  });
  if (status !== 0)
    throw new Error(`npm ci failed${error ? `: ${error.message}` : ""}; see its output above.`);
}

/**
 * True when every package of the lock file is installed in its version; optional ones may be absent.
 * @param {string} root
 */
export function isInstalled(root) {
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const wanted = readPackages(join(root, "package-lock.json"));
  const present = readPackages(installed);
  return Object.entries(wanted).every(
    ([path, { version, optional, link }]) =>
      !path.startsWith("node_modules/") ||
      link ||
      (present[path] ? present[path].version === version : optional),
  );
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, optional?: boolean, link?: boolean }>}
 */
function readPackages(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}
