/**
 * Tests in a real headless Chromium: every `*.browser.test.ts`. Vite serves the sources, `node_modules`
 * (the engine's WASM) and `conformance/cases`, or the directory that NIJIMI_CASES names, with the headers that
 * give WASM its threads.
 */
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { listCases, listFiles } from "./conformance/browser/list-cases.ts";
import { findBrowser } from "./scripts/browser/find-browser.ts";
import { BROWSER_FLAGS, ISOLATION_HEADERS } from "./scripts/browser/launch-options.ts";

const executablePath = findBrowser();
if (executablePath === undefined)
  throw new Error("No Chrome or Chromium found: `npm run test:browser` installs one.");

const cases = process.env.NIJIMI_CASES ?? "conformance/cases";

export default defineConfig({
  resolve: { conditions: ["@nijimi/source", "browser", "import", "default"] },
  optimizeDeps: { exclude: ["onnxruntime-web", "onnxruntime-common"] },
  server: { headers: { ...ISOLATION_HEADERS }, fs: { allow: [".", cases] } },
  test: {
    include: ["**/*.browser.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    provide: {
      cases: listCases(cases, ["ops", "blocks"]),
      pipelineCases: listCases(cases, ["pipelines"]),
      allPipelines: process.env.NIJIMI_PIPELINES === "all",
      pipelineFiles: listFiles(`${cases}/pipelines`),
    },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath, args: [...BROWSER_FLAGS] } }),
      instances: [{ browser: "chromium" }],
    },
  },
});
