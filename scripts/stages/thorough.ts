/** The stages that `npm run test:all` has beyond `npm test`: all backends, all fixtures, a newer Node. */
import { existsSync } from "node:fs";
import { softwareVulkan } from "../browser/software-vulkan.ts";
import { installNode } from "../newer-node.ts";
import { conformanceStage, vitestStage } from "./quick.ts";
import type { Stage } from "./stage.ts";

/** The LTS that is tested beside the oldest Node we support. */
const NEWER_LTS = 24;

/** Every case there is: those of the workspace's neighbour where present, else the committed ones. */
const FIXTURES = "../shared/fixtures";

/**
 * @param results folder that reports are written to
 * @param browser the Chromium whose software Vulkan stands in for a GPU
 */
export function thoroughStages(
  results: string,
  browser: string,
  say: (line: string) => void,
): Stage[] {
  const present = existsSync(FIXTURES);
  if (!present) say(`${FIXTURES} is not there: conformance runs the committed cases only.`);
  const cases = present ? ["--cases", FIXTURES] : [];
  const inBrowser: Record<string, string> = present ? { NIJIMI_CASES: FIXTURES } : {};
  const browserTests = ["--config", "vitest.browser.config.ts", "conformance"];
  const gpu = [...cases, "--only", "ops,blocks", "--device", "webgpu"];
  return [
    conformanceStage("conformance-all", results, cases, 30),
    conformanceStage("conformance-webgpu", results, gpu, 15, { env: softwareVulkan(browser) }),
    { ...vitestStage("conformance-browser", results, browserTests, 15), env: inBrowser },
    conformanceStage("conformance-built", results, [], 10, { built: true }),
    ...newerNodeStages(results, say),
  ];
}

function newerNodeStages(results: string, say: (line: string) => void): Stage[] {
  try {
    const node = installNode(NEWER_LTS, say);
    return [vitestStage(`unit-tests-node-${NEWER_LTS}`, results, [], 15, node)];
  } catch (error) {
    say(`Node ${NEWER_LTS} cannot be had here and is not tested: ${(error as Error).message}`);
    return [];
  }
}
