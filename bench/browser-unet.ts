/**
 * Stable Diffusion 1.5's U-Net at full size in Chromium, random weights quantised as they are read: time of a step,
 * memory.
 *
 *   npm run bench -- browser-unet [int8-weights|int4-weights|int8] [wasm|webgpu] [SIZE] [RUNS]
 *
 * SIZE is the side of the picture, 512 where none is given; a run is one evaluation of the network for one picture,
 * half a guided step. Memory is the renderer's largest so far (VmHWM, Linux).
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { createServer } from "vite";
import { ensureBrowser } from "../scripts/browser/find-browser.ts";
import { BROWSER_FLAGS, ISOLATION_HEADERS } from "../scripts/browser/launch-options.ts";
import type { Measured } from "./browser/unet-worker.ts";

const [precision = "int8-weights", device = "wasm", picture = "512", runs = "1"] =
  process.argv.slice(2);
const size = String(Number(picture) / 8);

const vite = await createServer({
  configFile: false,
  root: fileURLToPath(new URL("browser", import.meta.url)),
  resolve: { conditions: ["@nijimi/source", "browser", "import", "default"] },
  optimizeDeps: { exclude: ["nijimi", "onnxruntime-web", "onnxruntime-common"], include: [] },
  server: { port: 0, headers: { ...ISOLATION_HEADERS }, fs: { allow: ["../.."] }, hmr: false },
  logLevel: "error",
});
await vite.listen();
const server = await chromium.launchServer({
  executablePath: ensureBrowser((line) => process.stderr.write(`${line}\n`)),
  args: [...BROWSER_FLAGS],
});
try {
  const browser = await chromium.connect(server.wsEndpoint());
  const page = await browser.newPage();
  page.setDefaultTimeout(3_600_000);
  const query = new URLSearchParams({ precision, device, size, runs });
  await page.goto(`${vite.resolvedUrls?.local[0]}?${query}`);
  await page.waitForFunction("globalThis.measured !== undefined");
  const measured = (await page.evaluate("globalThis.measured")) as Measured | { error: string };
  if ("error" in measured) throw new Error(measured.error);
  report(measured, largestProcess(server.process().pid ?? 0));
} finally {
  await server.close();
  await vite.close();
}

function report(
  { parameters, first, runs: times, picture: parts, isFinite }: Measured,
  peak: number,
): void {
  const lines = [
    `U-Net of ${(parameters / 1e6).toFixed(0)} M parameters, weights of 16 bits loaded as ${precision}`,
    `${device}, ${picture} × ${picture}: weights, session and first run ${first.toFixed(1)} s; then ${times.map((time) => `${time.toFixed(1)} s`).join(", ")}`,
    `a picture of one step: text and step ${parts[0].toFixed(1)} s, decoding ${parts[1].toFixed(1)} s, with their sessions`,
    `result ${isFinite ? "finite" : "NOT FINITE"}; largest process ${(peak / 1e6).toFixed(2)} GB`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Largest VmHWM in kB among a process and all below it; 0 where the system does not tell. */
function largestProcess(root: number): number {
  try {
    const processes = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readStatus(Number(pid)));
    const inside = new Set([root]);
    for (let before = 0; before !== inside.size;) {
      before = inside.size;
      for (const { pid, parent } of processes) if (inside.has(parent)) inside.add(pid);
    }
    return Math.max(...processes.map(({ pid, peak }) => (inside.has(pid) ? peak : 0)));
  } catch {
    return 0;
  }
}

function readStatus(pid: number) {
  let status = "";
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // It has ended meanwhile.
  }
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return { pid, parent: field("PPid"), peak: field("VmHWM") };
}
