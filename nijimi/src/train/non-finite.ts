/** Which tensor of an update is not finite: asked once, when one is. */
import type { Tensor } from "../tensor/tensor.ts";
import { compileSplitUpdate, type HostTensors, type ProgramOptions } from "./compile-program.ts";
import type { FeedBatch } from "./feed.ts";
import { layoutOf, type Program, unflattenTensor, type Vectors } from "./program.ts";

/**
 * Names the first tensor with a NaN or an infinity, in the order in which they would have arisen: parameters, the
 * batch, losses, metrics, gradients.
 */
export async function nameNonFinite(
  program: Program,
  options: ProgramOptions,
  vectors: Vectors,
  parts: readonly FeedBatch[],
  update: number,
): Promise<string> {
  for (const [player, own] of Object.entries(vectors)) {
    const name = namedBadTensor(program, player, own["parameters"]);
    if (name !== undefined) return `parameter ${name} of ${player} is not finite before it`;
  }
  const split = await compileSplitUpdate(program, options);
  try {
    for (const { tensors } of parts) {
      const input = badInput(tensors);
      if (input !== undefined) return `input ${input} is not finite`;
      const { losses, metrics, gradients } = await split.gradients(vectors, tensors, update);
      const loss = findNonFinite("loss", losses) ?? findNonFinite("metric", metrics);
      const gradient = Object.entries(gradients)
        .map(([player, flat]) => namedBadTensor(program, player, flat))
        .find((name) => name !== undefined);
      if (loss !== undefined)
        return loss + (gradient === undefined ? "" : `, first non-finite gradient ${gradient}`);
      if (gradient !== undefined) return `the gradient of ${gradient} is not finite`;
    }
    return "a loss or gradient is not finite";
  } finally {
    await split.dispose();
  }
}

function namedBadTensor(program: Program, player: string, flat: Tensor): string | undefined {
  const tensors = unflattenTensor(layoutOf(program.players[player]), flat);
  return Object.keys(tensors).find((name) => !isFinite(tensors[name].data));
}

function findNonFinite(
  kind: string,
  numbers: Readonly<Record<string, number>>,
): string | undefined {
  const found = Object.entries(numbers).find(([, value]) => !Number.isFinite(value));
  return found && `the ${kind} "${found[0]}" is ${found[1]}`;
}

function badInput(tensors: HostTensors): string | undefined {
  return Object.keys(tensors).find((name) => {
    const { data } = tensors[name];
    return data instanceof Float32Array && !isFinite(data);
  });
}

function isFinite(values: Float32Array): boolean {
  return values.every(Number.isFinite);
}
