/** The sampling loop of all tasks, as events, and the decoding of its result. */
import { NijimiError } from "../../errors.ts";
import { tensorToImages } from "../../images/tensor.ts";
import { sliceRows } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Generation, GenerationEvent, ImageReady } from "../events.ts";
import type { Job } from "../job.ts";
import { guidedNetwork, type NetworkSetup } from "./branch-network.ts";

type F32 = Tensor<"float32">;

/** What a task adds to the loop. */
export interface DenoiseOptions extends Pick<NetworkSetup, "extraChannels" | "classLabels"> {
  /**
   * The state after a step, before step `next`, whose first evaluation has the timestep: inpainting puts what is known
   * back. May write to `x`.
   */
  readonly afterStep?: (x: F32, next: number, timestep: number | undefined) => void;
  /** The same for what a further evaluation of one step is shown, as it is shown: scaled for the network. */
  readonly withinStep?: (x: F32, timestep: number) => F32;
}

/**
 * Runs the sampler from `x` on.
 *
 * @returns the latents
 * @throws NijimiError `numeric` naming the step at which a value stopped being a number
 */
export async function* denoise(
  job: Job,
  x: F32,
  { afterStep, withinStep, ...inputs }: DenoiseOptions = {},
): AsyncGenerator<GenerationEvent, F32, undefined> {
  const { plan, window, conditions, guidance, pipeline, signal, request } = job;
  const steps = window.end - window.first;
  if (pipeline.lowMemory)
    for (const part of ["text-encoders", "picture-encoders", "autoencoder"] as const)
      await pipeline.release(part);
  const evaluations = plan.evaluations(window.first) - plan.evaluations(window.end);
  const setup: NetworkSetup = {
    ...inputs,
    unet: pipeline.unet,
    load: job.load,
    conditions,
    controls: job.controls,
    adapters: job.adapters,
    imagePrompts: job.imagePrompts,
    freeU: job.freeU,
    timestepCond: job.timestepCond,
    evaluations,
    maxRows: request.maxRows,
  };
  const skipped = (plan.timesteps?.length ?? 0) - plan.evaluations(window.first);
  let done = 0;
  let evaluated = -1;
  const network = guidedNetwork(setup, guidance, plan.sigmaAt);
  const run = plan.run({
    network: (state, timestep, context) => {
      done++;
      const isFurther = context.step === evaluated;
      evaluated = context.step;
      const shown = isFurther && withinStep ? withinStep(state, timestep) : state;
      return network(shown, timestep, context);
    },
    x,
    noise: job.noise.steps,
    signal,
    firstStep: window.first,
    eta: request.eta ?? 0,
  });
  let latents = x;
  const every = request.preview?.every ?? 1;
  yield { type: "step-start", step: 0, steps };
  for await (const event of run) {
    const step = event.step - window.first;
    requireNumbers(event.x, step, steps);
    // Samplers go on from this very tensor.
    afterStep?.(event.x, event.step + 1, plan.timesteps?.[skipped + done]);
    latents = event.x;
    const { sigma, denoised } = event;
    if (request.preview && step % every === 0)
      yield { type: "step-preview", step, steps, images: await pipeline.preview(denoised) };
    yield { type: "step-end", step, steps, evaluations: done, sigma, latents, denoised };
    // Sessions may hold the thread all the time: let timers and signals have their turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (step + 1 === steps) break;
    yield { type: "step-start", step: step + 1, steps };
  }
  return latents;
}

function requireNumbers({ data }: F32, step: number, steps: number): void {
  if (data.every(Number.isFinite)) return;
  throw new NijimiError(
    "numeric",
    `Step ${step + 1} of ${steps} gave values that are not numbers. Either the weights are damaged (\`nijimi inspect --values\` finds out), or the U-Net overflowed: use float32 weights, or a lower guidance scale.`,
  );
}

/** Decodes image by image. */
export async function* decode(job: Job, latents: F32): Generation {
  const { pipeline, batch, noise, notes, request, signal, checker } = job;
  if (pipeline.lowMemory) await pipeline.release("unet");
  for (let index = 0; index < batch; index++) {
    if (signal?.aborted)
      throw new NijimiError("cancelled", "Decoding: cancelled by the caller.", {
        cause: signal.reason,
      });
    const own = sliceRows(latents, index, index + 1);
    const pixels = await pipeline.autoencoder.decode(own, request.tiles);
    if (!pixels.data.every(Number.isFinite))
      throw new NijimiError(
        "numeric",
        "The autoencoder gave values that are not numbers: its decoder overflows in float16. Give another VAE with float32 weights.",
      );
    const [image] = tensorToImages(pixels);
    const [safety] = checker === undefined ? [] : await checker.check([image]);
    const ready: ImageReady = {
      type: "image-ready",
      index,
      count: batch,
      seed: noise.seeds?.[index],
      image,
      pixels,
      latents: own,
      recipe: job.recipe(index),
      ...(safety && { safety }),
      notes: safety?.flagged
        ? [...notes, `Picture ${index + 1}: the safety checker flags it.`]
        : notes,
    };
    yield ready;
  }
}
