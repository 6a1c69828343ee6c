/** What the text encoders make of a request's prompts, for those who want to look at it or use it elsewhere. */
import { COND, UNCOND } from "../guidance/types.ts";
import { stack } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { prepare } from "./job.ts";
import type { Pipeline } from "./pipeline.ts";
import type { GenerationRequest } from "./request.ts";

type F32 = Tensor<"float32">;

/** States of one kind of prompt for all images. */
export interface EncodedPrompts {
  /** [B, T, D] */
  readonly context: F32;
  /** The last encoder's pooled state [B, E]. */
  readonly pooled: F32;
}

/**
 * Encodes the prompts of a request as its first step would see them.
 *
 * @example
 * const { prompt, negative } = await encodePrompts(pipeline, { prompt: "a red cat" });
 */
export async function encodePrompts(
  pipeline: Pipeline,
  request: GenerationRequest,
): Promise<{ readonly prompt: EncodedPrompts; readonly negative: EncodedPrompts }> {
  const { defaultSize: size } = pipeline;
  const { conditions, batch } = await prepare(
    pipeline,
    { ...request, control: [], adapters: [], imagePrompts: [] },
    { width: size, height: size },
  );
  const branch = (name: string): EncodedPrompts => {
    const all = Array.from({ length: batch }, (_, image) => conditions.at(name, image, 0));
    return {
      context: stack(all.map(({ context }) => context)),
      pooled: stack(all.map(({ pooled }) => pooled)),
    };
  };
  return { prompt: branch(COND), negative: branch(UNCOND) };
}
