/** Finds a Chrome or Chromium on this machine, and installs one where there is none. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];

const PLACES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
  ],
  win32: ["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"].map((name) =>
    join(process.env[name] ?? "", "Google/Chrome/Application/chrome.exe"),
  ),
};

/**
 * Path of a browser that starts: `NIJIMI_BROWSER`, else one on the PATH or in its usual place, else the one
 * that Playwright downloaded; undefined when there is none.
 */
export function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = [
    process.env.NIJIMI_BROWSER,
    ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))),
    ...(PLACES[process.platform] ?? []),
    chromium.executablePath(),
  ];
  return candidates.find((path) => path !== undefined && existsSync(path) && starts(path));
}

/** Some distributions ship a `chromium` that only tells where to get one. */
function starts(path: string): boolean {
  if (process.platform === "win32") return true; // there `--version` opens a window
  try {
    return /^(Chromium|Google Chrome)/.test(run(path, ["--version"]));
  } catch {
    return false;
  }
}

/**
 * {@link findBrowser}, installing Debian's package (as root, where apt is) or Playwright's Chromium when
 * nothing is there.
 *
 * @throws Error when neither can be had
 */
export function ensureBrowser(say: (line: string) => void): string {
  const present = findBrowser();
  if (present !== undefined) return present;
  const failures: string[] = [];
  for (const [name, install] of [
    ["Debian's package", installDebianPackage],
    ["Playwright's download", installPlaywrightChromium],
  ] as const) {
    say(`No Chrome or Chromium found; installing ${name} …`);
    try {
      install();
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
    }
    const installed = findBrowser();
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `The browser tests need Chrome or Chromium: none was found and none could be installed ` +
      `(${failures.join("; ")}). Install one, or name it in NIJIMI_BROWSER.`,
  );
}

function installDebianPackage(): void {
  if (process.getuid?.() !== 0) throw new Error("needs root");
  run("apt-get", ["update", "-qq"]);
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"]);
}

function installPlaywrightChromium(): void {
  const cli = join(
    dirname(createRequire(import.meta.url).resolve("playwright-core/package.json")),
    "cli.js",
  );
  run(process.execPath, [cli, "install", "chromium"]);
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}
