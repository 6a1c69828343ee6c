/**
 * All suites by kind, loaded when needed. One line per kind, sorted; each file exports its `suite`.
 */
import type { Suite } from "../case.ts";

export const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  // rng: async () => (await import("./rng.ts")).suite,
};
