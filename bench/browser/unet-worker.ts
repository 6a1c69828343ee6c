/** Stable Diffusion 1.5 in a browser's worker: loads it as any checkpoint is loaded, and runs its U-Net. */
import { loadPipeline, NO_ADAPTERS, type Precision, textToImage } from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import { sizeOf, torchGenerator } from "nijimi/tensor";
import { randomFolder } from "./random-folder.ts";

/** What the page asks for, as its address says it. */
export interface Setup {
  readonly device: Device;
  readonly precision: Precision;
  /** Side of the latents; the picture's is eight times as much. */
  readonly size: string;
  readonly runs: string;
}

/** Times in seconds. */
export interface Measured {
  readonly parameters: number;
  /** Reading and quantising the weights, making the session, and the first run. */
  readonly first: number;
  readonly runs: readonly number[];
  /** The rest of a picture of one unguided step: the text encoder with the step, then the decoder, with their sessions. */
  readonly picture: readonly number[];
  readonly isFinite: boolean;
}

async function measure({ device, precision, size, runs }: Setup): Promise<Measured> {
  const pipeline = await loadPipeline(randomFolder(), { device, precision, lowMemory: true });
  const { unet } = pipeline;
  const side = Number(size);
  const random = torchGenerator(1);
  const call = {
    sample: random.randn([1, 4, side, side]),
    timestep: 500,
    context: random.randn([1, 77, 768]),
  };
  const times: number[] = [];
  let isFinite = true;
  for (let run = 0; run <= Number(runs); run++) {
    const start = performance.now();
    const { data } = await unet.run(call, NO_ADAPTERS);
    isFinite &&= data.every(Number.isFinite);
    times.push((performance.now() - start) / 1000);
  }
  const picture: number[] = [];
  const request = {
    prompt: "a red cat",
    steps: 1,
    guidanceScale: 1,
    width: 8 * side,
    height: 8 * side,
  };
  let start = performance.now();
  for await (const event of textToImage(pipeline, request)) {
    if (event.type === "step-start") continue;
    picture.push((performance.now() - start) / 1000);
    start = performance.now();
  }
  const [first, ...others] = times;
  const parameters = Object.values(unet.parameters).reduce(
    (sum, { shape }) => sum + sizeOf(shape),
    0,
  );
  return { parameters, first, runs: others, picture, isFinite };
}

addEventListener("message", ({ data }: MessageEvent<Setup>) => {
  measure(data).then(
    (measured) => postMessage(measured),
    (error: unknown) =>
      postMessage({ error: error instanceof Error ? error.message : String(error) }),
  );
});
