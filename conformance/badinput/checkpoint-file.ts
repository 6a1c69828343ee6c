/** Checkpoints and pickles among the bad input: read whole, values compared where the manifest has them. */
import path from "node:path";
import { openCheckpoint, readAll } from "nijimi/checkpoints";
import { toFloat64, type Tensor } from "nijimi/tensor";
import type { Handler } from "./item.ts";

/** Opens a file and reads all its tensors. */
export const readCheckpointFile: Handler = async ({ file, values = {} }, c) => {
  try {
    const checkpoint = await openCheckpoint(path.join(c.folder, file));
    const tensors = await readAll(checkpoint.entries).finally(() => checkpoint.close());
    return { loaded: true, difference: compareValues(tensors, values) };
  } catch (error) {
    return { loaded: false, error };
  }
};

function compareValues(
  tensors: Readonly<Record<string, Tensor>>,
  values: Readonly<Record<string, unknown>>,
): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (!(name in tensors)) return `${name} is missing`;
    const expected = numbersOf(value);
    const got = toFloat64(tensors[name]);
    const same =
      got.length === expected.length && got.every((number, i) => Object.is(number, expected[i]));
    if (!same) return `${name} is ${[...got].join(", ")}; expected ${expected.join(", ")}`;
  }
  return undefined;
}

/** Nested lists flattened; numbers that JSON cannot have are words. Values are of float32 at most, or small integers. */
function numbersOf(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(numbersOf);
  return [Number(value)];
}
