/**
 * The page of `examples/browser`, built with the built package and driven as a user would: a model into the browser's
 * storage, a picture with its recipe, and cancelling.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodePng, readMetadata } from "nijimi/images";
import { type Browser, chromium, type Page } from "playwright-core";
import { build, preview, type PreviewServer } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findBrowser } from "../scripts/browser/find-browser.ts";
import { BROWSER_FLAGS } from "../scripts/browser/launch-options.ts";

const configFile = fileURLToPath(new URL("../examples/browser/vite.config.ts", import.meta.url));
const model = fileURLToPath(
  new URL("../conformance/cases/pipelines/sd2/sd2_ldm_fp16.safetensors", import.meta.url),
);

const folder = mkdtempSync(join(tmpdir(), "nijimi-page-"));
let server: PreviewServer;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  await build({ configFile, build: { outDir: folder, emptyOutDir: true }, logLevel: "warn" });
  server = await preview({ configFile, build: { outDir: folder }, preview: { port: 0 } });
  browser = await chromium.launch({ executablePath: findBrowser(), args: [...BROWSER_FLAGS] });
  page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(60_000);
  await page.goto(server.resolvedUrls?.local[0] as string);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

it("stores the tiny model and makes a picture that carries its recipe", async () => {
  await page.getByRole("button", { name: "A tiny one, to try" }).click();
  await page.getByText("In use: tiny").waitFor();
  expect(await page.getByRole("list", { name: "Stored models" }).innerText()).toContain("tiny");
  await page.getByLabel("Prompt").fill("a red cat");
  await page.getByLabel("Steps").fill("4");
  const generate = page.getByRole("button", { name: "Make the picture" });
  await generate.click();
  await page.getByRole("img", { name: "Preview" }).waitFor();
  await page.getByRole("img", { name: "Picture of: a red cat" }).waitFor();

  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download PNG" }).click();
  const bytes = new Uint8Array(readFileSync(await (await downloading).path()));
  expect(decodePng(bytes)).toMatchObject({ width: 64, height: 64 });
  expect(readMetadata(bytes).recipe).toMatchObject({ prompt: "a red cat", seed: 42, steps: 4 });

  const screenshot = process.env.NIJIMI_SCREENSHOT;
  if (screenshot !== undefined) await page.screenshot({ path: screenshot, fullPage: true });
});

it("stops within a step when it is told to", async () => {
  await page.getByLabel("Steps").fill("200");
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.getByText(/Step \d+ of 200/).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Make the picture", disabled: false }).waitFor();
  expect(await page.getByRole("alert").isVisible()).toBe(false);
});

it("remembers what is stored, says what is wrong with a file, and deletes", async () => {
  await page.reload();
  const list = page.getByRole("list", { name: "Stored models" });
  await list.getByText(/^tiny · /).waitFor();
  await page.getByLabel("A file").setInputFiles(model);
  await page.getByText("In use: sd2_ldm_fp16.safetensors").waitFor();
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.getByRole("alert").waitFor();
  expect(await page.getByRole("alert").innerText()).toMatch(/^sd2_ldm_fp16\.safetensors: /);
  await page.getByRole("button", { name: "Delete tiny" }).click();
  await list.getByText(/^tiny · /).waitFor({ state: "detached" });
});
