/**
 * Whole pipelines in the browser, on WASM and on WebGPU: every picture within 2/255 of the reference, which is what
 * Node's agree with too. Which cases: see `vitest.browser.config.ts`.
 */
import { allImages, type Pipeline } from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import { afterAll, describe, expect, inject, it } from "vitest";
import type { Case } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { pictureOf, requestOf, taskOf } from "../suites/pipeline-request.ts";
import { type PipelineFiles, pipelineKey, pipelineOf } from "./case-pipeline.ts";
import { fetchCase, fetchTensors } from "./fetch-case.ts";
import type { CaseAddress } from "./list-cases.ts";

declare module "vitest" {
  export interface ProvidedContext {
    pipelineCases: readonly CaseAddress[];
    pipelineFiles: PipelineFiles;
    /** Run the slow ones too. */
    allPipelines: boolean;
  }
}

const TOLERANCE = { atol: 2 / 255, rtol: 0 };

const found = await Promise.all(inject("pipelineCases").map(fetchCase));
const cases = found
  .filter(
    ({ json: { config } }) =>
      config?.["checkpoint"] !== undefined && config["prompt"] !== undefined,
  )
  .sort((a, b) => (pipelineKey(a) < pipelineKey(b) ? -1 : 1));

/**
 * A GPU that the processor imitates takes half a minute for each case. There it is one of each task, and without
 * NIJIMI_PIPELINES=all only the first.
 */
const ON_GPU = ["sd1_controlnet", "sd1_lora_kohya", "sd1_seed_euler_a", "sd1_inpaint4_ddim"];

const CASES: Readonly<Record<"wasm" | "webgpu", readonly Case[]>> = {
  wasm: cases,
  webgpu: cases
    .filter(({ json }) => ON_GPU.includes(json.name ?? ""))
    .slice(0, inject("allPipelines") ? ON_GPU.length : 1),
};

describe.each(["wasm", "webgpu"] as const)("on %s", (device) => {
  const pipelines = lastPipeline(device);
  afterAll(pipelines.close);

  it.each(CASES[device].map((c) => [c.id, c] as const))(
    "%s",
    async (_id, c) => {
      const full = await fetchTensors(c);
      const pipeline = await pipelines.get(full);
      const images = await allImages(taskOf(c.json.function)(pipeline, requestOf(full) as never));
      const expected = full.tensors()["out.image"];
      const comparison = compareTensors("out.image", pictureOf(images), expected, TOLERANCE);
      expect(comparison).toMatchObject({ passed: true });
    },
    300_000,
  );
});

/** Keeps the pipeline as long as cases share it: neighbours do. */
function lastPipeline(device: Device) {
  let current: { readonly key: string; readonly pipeline: Pipeline } | undefined;
  const close = async () => current?.pipeline.close();
  return {
    close,
    async get(c: Case): Promise<Pipeline> {
      const key = pipelineKey(c);
      if (current?.key !== key) {
        await close();
        current = { key, pipeline: await pipelineOf(c, device, inject("pipelineFiles")) };
      }
      return current.pipeline;
    },
  };
}
