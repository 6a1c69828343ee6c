/**
 * Build of a checkout: `tsc` over `nijimi/src` into `nijimi/dist` when that is missing or older than its
 * sources. Plain JavaScript without dependencies, because `nijimi/bin/nijimi.js` calls it in a fresh clone.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { installIfStale } from "./install.js";

const POLL_MS = 100;

/**
 * Makes `nijimi/dist` what the sources say, and installs dependencies first where they are missing.
 * Processes that start at the same time build once: the others wait.
 *
 * @param {string} root folder of the workspace
 * @param {(line: string) => void} say where progress goes
 */
export function buildIfStale(root, say) {
  if (isBuilt(root)) return;
  installIfStale(root, say);
  const release = lock(join(root, "nijimi/.build-lock"), say);
  try {
    if (!isBuilt(root)) build(root, say);
  } finally {
    release();
  }
}

/**
 * Builds from scratch, beside the old build, so that a process which is running from that one stays whole
 * and a failed build changes nothing.
 * @param {string} root
 * @param {(line: string) => void} say
 */
export function build(root, say) {
  const dist = join(root, "nijimi/dist");
  const next = join(root, "nijimi/dist.new");
  const before = fingerprint(root);
  const start = performance.now();
  say("Building nijimi …");
  rmSync(next, { recursive: true, force: true });
  const typescript = createRequire(join(root, "package.json")).resolve("typescript/package.json");
  const { status } = spawnSync(
    process.execPath,
    [
      join(typescript, "../bin/tsc"),
      "-p",
      join(root, "nijimi/tsconfig.build.json"),
      "--outDir",
      next,
    ],
    { stdio: ["ignore", process.stderr, process.stderr] },
  );
  if (status !== 0) throw new Error("The build failed; see the compiler's messages above.");
  writeFileSync(join(next, ".built"), before);
  rmSync(dist, { recursive: true, force: true });
  renameSync(next, dist);
  say(`Built in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
}

/**
 * True when `dist` was built from the sources as they are.
 * @param {string} root
 */
export function isBuilt(root) {
  try {
    return readFileSync(join(root, "nijimi/dist/.built"), "utf8") === fingerprint(root);
  } catch {
    return false;
  }
}

/**
 * Names, sizes and times of all that a build reads.
 * @param {string} root
 */
function fingerprint(root) {
  const sources = readdirSync(join(root, "nijimi/src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !/\.test\.ts$|\btesting\b/.test(path))
    .map((path) => join("nijimi/src", path));
  const hash = createHash("sha256");
  for (const path of [...sources.sort(), "nijimi/tsconfig.build.json", "tsconfig.base.json"]) {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/**
 * Takes a lock that is a folder, waiting for whoever has it; one left by a dead process is taken over.
 * @param {string} folder
 * @param {(line: string) => void} say
 * @returns {() => void} release
 */
function lock(folder, say) {
  for (let waited = false; ; waited = true) {
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, "pid"), String(process.pid));
      return () => rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    }
    if (!ownerLives(folder)) rmSync(folder, { recursive: true, force: true });
    else if (!waited) say("Waiting for another process that is building nijimi …");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
}

/** @param {string} folder */
function ownerLives(folder) {
  try {
    const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return true; // also while the number is not written yet
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT"
      ? Date.now() - createdAt(folder) < 2000
      : /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

/** @param {string} path */
function createdAt(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return Date.now();
  }
}
