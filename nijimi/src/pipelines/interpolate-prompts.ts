/** A way through prompts: a picture at every step between each prompt and the next, all from one noise. */
import { NijimiError } from "../errors.ts";
import type { BlendKind } from "./conditioning/blend.ts";
import type { Generation } from "./events.ts";
import type { RunOptions } from "./job.ts";
import type { Pipeline } from "./pipeline.ts";
import type { TextToImageRequest } from "./request.ts";
import { textToImage } from "./text-to-image.ts";

/** Text to images on the way. */
export interface InterpolationRequest extends Omit<
  TextToImageRequest,
  "prompt" | "blend" | "count"
> {
  /** Two or more. */
  readonly prompts: readonly string[];
  /** Pictures in all, the first of the first prompt, the last of the last. @default 8 */
  readonly frames?: number;
  /** Along the arc between two embeddings or the straight line. @default "slerp" */
  readonly how?: BlendKind;
}

/**
 * Pictures of the way, one after the other, as events; `index` and `count` of `image-ready` count them.
 *
 * @throws NijimiError `option` for fewer than two prompts or frames
 * @example
 * const frames = await allImages(interpolatePrompts(pipeline, { prompts: ["a cat", "a dog"], frames: 12, seed: 1 }));
 */
export async function* interpolatePrompts(
  pipeline: Pipeline,
  { prompts, frames = 8, how, ...request }: InterpolationRequest,
  options: RunOptions = {},
): Generation {
  if (prompts.length < 2)
    throw new NijimiError("option", `prompts: two or more are needed; got ${prompts.length}.`);
  if (!(Number.isInteger(frames) && frames >= 2))
    throw new NijimiError("option", `frames must be a whole number from 2 on; got ${frames}.`);
  let { seed } = request;
  for (let index = 0; index < frames; index++) {
    const way = (index * (prompts.length - 1)) / (frames - 1);
    const leg = Math.min(Math.floor(way), prompts.length - 2);
    const blend = { prompt: prompts[leg + 1], share: way - leg, ...(how && { how }) };
    const frame = { ...request, seed, prompt: prompts[leg], blend };
    for await (const event of textToImage(pipeline, frame, options)) {
      if (event.type !== "image-ready") yield event;
      else {
        seed = event.seed ?? seed;
        yield { ...event, index, count: frames };
      }
    }
  }
}
