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

/** Real pictures and weights, in the workspace's neighbour where present. */
const DATA = "../shared/data";

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
  const inBrowser: Record<string, string> = {
    NIJIMI_PIPELINES: "all",
    ...(present && { NIJIMI_CASES: FIXTURES }),
  };
  const browserTests = ["--config", "vitest.browser.config.ts", "conformance"];
  const gpu = [...cases, "--only", "ops,blocks", "--device", "webgpu"];
  return [
    conformanceStage("conformance-all", results, cases, 30),
    conformanceStage("conformance-webgpu", results, gpu, 15, { env: softwareVulkan(browser) }),
    { ...vitestStage("conformance-browser", results, browserTests, 25), env: inBrowser },
    conformanceStage("conformance-built", results, [], 10, { built: true }),
    ...dataStages(results, say),
    ...newerNodeStages(results, say),
  ];
}

/** Tests on real data, which users do not have. */
function dataStages(results: string, say: (line: string) => void): Stage[] {
  if (existsSync(DATA))
    return [
      {
        ...vitestStage("data-tests", results, ["conformance/data"], 15),
        env: { NIJIMI_DATA: DATA },
      },
    ];
  say(`${DATA} is not there: tests on real data are left out.`);
  return [];
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
