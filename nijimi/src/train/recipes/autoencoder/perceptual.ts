/**
 * Perceptual distance for training: LPIPS (Zhang et al. 2018, arXiv:1801.03924) where the user has its weights,
 * otherwise the features of an image tower that this project has trained, compared in the same way: every token's
 * features scaled to length 1, squared differences averaged.
 */
import type { JsonObject } from "../../../checkpoints/json.ts";
import { openCheckpoint } from "../../../checkpoints/open-checkpoint.ts";
import { add, mean, mul, square, sub } from "../../../graph/ops.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { clipVision, normalise, readClipVisionConfig } from "../../../models/clip.ts";
import { lpips } from "../../../models/lpips.ts";
import type { Scope } from "../../../nn/layer.ts";
import { cast } from "../../../tensor/convert.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { readTrained } from "../trained.ts";

/** A distance of pictures in −1 … 1, and the weights it needs. */
export interface PerceptualDistance {
  readonly weights: Readonly<Record<string, Tensor>>;
  /** Mean over the batch: a scalar. */
  readonly distance: (scope: Scope, a: Sym, b: Sym) => Sym;
}

/** LPIPS with AlexNet or VGG-16, from a file of its weights; which of the two is in the file's name. */
export async function lpipsDistance(file: string): Promise<PerceptualDistance> {
  const net = lpips(file.includes("vgg") ? "vgg" : "alex");
  const checkpoint = await openCheckpoint(file);
  const weights: Record<string, Tensor> = {};
  for (const name of Object.keys(net.parameters))
    weights[name] = cast(await checkpoint.entries[name].read(), "float32");
  await checkpoint.close();
  return {
    weights,
    distance: (scope, a, b) => mean(net.apply(scope, "", a, b).distance),
  };
}

/** The image tower of a trained CLIP, in a folder of transformers. */
export async function towerDistance(folder: string): Promise<PerceptualDistance> {
  const { config, tensors } = await readTrained(folder);
  const tower = clipVision(readClipVisionConfig(config["vision_config"] as JsonObject));
  return {
    weights: Object.fromEntries(
      Object.keys(tower.parameters).map((name) => [name, tensors[name]] as const),
    ),
    distance: (scope, a, b) => {
      const [first, second] = [a, b].map((x) => tower.apply(scope, "", x).hiddenStates.slice(1));
      const parts = first.map((states, i) =>
        mean(square(sub(normalise(states), normalise(second[i])))),
      );
      return mul(parts.reduce(add), 1 / parts.length);
    },
  };
}
