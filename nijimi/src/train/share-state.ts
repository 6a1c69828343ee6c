/** One state for all processes that train together: the first's. */
import { mapRecord } from "./program.ts";
import type { Together } from "./split-step.ts";
import type { TrainingState } from "./state.ts";

/**
 * Gives every process the first's state. Vectors are overwritten in place, bit for bit.
 *
 * @param state the first process's checkpoint; the others' may be anything of the same shapes
 */
export async function shareState(state: TrainingState, together: Together): Promise<TrainingState> {
  const { update, samples, position } = state;
  const numbers = Float64Array.of(update, samples, position.epoch, position.batch);
  await together.broadcast(new Float32Array(numbers.buffer));
  for (const vectors of Object.values(state.vectors))
    for (const { data } of Object.values(vectors)) await together.broadcast(data as Float32Array);
  return {
    update: numbers[0],
    samples: numbers[1],
    position: { epoch: numbers[2], batch: numbers[3] },
    vectors: mapRecord(state.vectors, (vectors) => ({ ...vectors })),
  };
}
