/** Another Node than the one that runs, from the npm registry, for testing with it. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Path of the newest Node `major` for this machine, installed below `.cache/` when it is not there.
 *
 * @throws Error where the registry has none for this platform
 */
export function installNode(major: number, say: (line: string) => void): string {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = join(".cache", `node-${major}`);
  const binary = join(
    folder,
    "node_modules",
    name,
    "bin",
    platform === "win" ? "node.exe" : "node",
  );
  if (existsSync(binary)) return binary;
  say(`Installing Node ${major} (${name}) …`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  execFileSync(
    "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", `${name}@${major}`],
    {
      cwd: folder,
      stdio: ["ignore", process.stderr, process.stderr],
      shell: process.platform === "win32",
    },
  );
  return binary;
}
