/** Model folders among the bad input: configs and weights compared, then every tensor read. */
import path from "node:path";
import { loadCheckpoint } from "nijimi/checkpoints";
import { toFloat64 } from "nijimi/tensor";
import type { Handler } from "./item.ts";

/** Loads a folder and reads all its tensors; what loading remarks, and numbers that are none, are warnings. */
export const readModelFolder: Handler = async ({ file }, c) => {
  try {
    const checkpoint = await loadCheckpoint(path.join(c.folder, file));
    const warnings = [...checkpoint.unexpected, ...checkpoint.notes];
    try {
      for (const [component, { entries }] of Object.entries(checkpoint.components))
        for (const [name, entry] of Object.entries(entries))
          if (!toFloat64(await entry.read()).every((value) => Number.isFinite(value)))
            warnings.push(`${component}.${name} holds numbers that are not finite`);
    } finally {
      await checkpoint.close();
    }
    return { loaded: true, warnings };
  } catch (error) {
    return { loaded: false, error };
  }
};
