/**
 * All suites by kind, loaded when needed. One line per kind, sorted; each file exports its `suite`.
 */
import type { Suite } from "../case.ts";

export const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  ops: async () => (await import("./ops.ts")).suite,
  rng: async () => (await import("./rng.ts")).suite,
};
